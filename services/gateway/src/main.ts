/** Runs the gateway alone: `node services/gateway/src/main.ts`. */
import { runService } from "@connect-domain/telemetry/checkSettings.ts"
import { layer } from "./service.ts"
import { settings } from "./startSettings.ts"

runService(settings, layer)
