/** Runs the lifecycle service alone. */
import { runService } from "@connect-domain/telemetry/checkSettings.ts"
import { layer } from "./service.ts"
import { settings } from "./startSettings.ts"

runService(settings, layer)
