/** Runs billing alone, until SIGTERM. */
import { runService } from "@connect-domain/telemetry/checkSettings.ts"
import { layer } from "./service.ts"
import { settings } from "./startSettings.ts"

runService(settings, layer)
