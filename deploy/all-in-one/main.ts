/**
 * All seven services in one process, for a laptop or a small box.
 *
 * Owns: nothing but running them together; the only file that may import every service. Each gets layers of its own (`Layer.fresh`), so
 * its own NATS user and database role, as if it ran alone. When one can't start, the process ends and says why.
 */

import { layer as billing } from "@connect-domain/billing/service.ts"
import { settings as billingSettings } from "@connect-domain/billing/startSettings.ts"
import { layer as certifier } from "@connect-domain/certifier/service.ts"
import { settings as certifierSettings } from "@connect-domain/certifier/startSettings.ts"
import { layer as connector } from "@connect-domain/connector/service.ts"
import { settings as connectorSettings } from "@connect-domain/connector/startSettings.ts"
import { layer as gateway } from "@connect-domain/gateway/service.ts"
import { settings as gatewaySettings } from "@connect-domain/gateway/startSettings.ts"
import { layer as lifecycle } from "@connect-domain/lifecycle/service.ts"
import { settings as lifecycleSettings } from "@connect-domain/lifecycle/startSettings.ts"
import { layer as router } from "@connect-domain/router/service.ts"
import { settings as routerSettings } from "@connect-domain/router/startSettings.ts"
import { runService } from "@connect-domain/telemetry/checkSettings.ts"
import { layer as webhooks } from "@connect-domain/webhooks/service.ts"
import { settings as webhooksSettings } from "@connect-domain/webhooks/startSettings.ts"
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

const settings = [
  ...gatewaySettings,
  ...lifecycleSettings,
  ...connectorSettings,
  ...certifierSettings,
  ...billingSettings,
  ...webhooksSettings,
  ...routerSettings
]

runService(settings, all)
