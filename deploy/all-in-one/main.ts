/**
 * All seven services in one process, for a laptop or a small box.
 *
 * Owns: nothing but running them together; the only file that may import every service. Each gets layers of its own (`Layer.fresh`), so
 * its own NATS user and database role, as if it ran alone. When one can't start, the process ends and says why.
 */

import { layer as billing } from "@connect-domain/billing/service.ts"
import { layer as certifier } from "@connect-domain/certifier/service.ts"
import { layer as connector } from "@connect-domain/connector/service.ts"
import { layer as gateway } from "@connect-domain/gateway/service.ts"
import { layer as lifecycle } from "@connect-domain/lifecycle/service.ts"
import { layer as router } from "@connect-domain/router/service.ts"
import { layer as webhooks } from "@connect-domain/webhooks/service.ts"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Layer } from "effect"

const all = Layer.mergeAll(
  Layer.fresh(lifecycle),
  Layer.fresh(billing),
  Layer.fresh(connector),
  Layer.fresh(certifier),
  Layer.fresh(webhooks),
  Layer.fresh(router),
  Layer.fresh(gateway)
)

NodeRuntime.runMain(Layer.launch(all))
