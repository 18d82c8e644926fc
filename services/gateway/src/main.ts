/** Runs the gateway alone: `node services/gateway/src/main.ts`. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Layer } from "effect"
import { layer } from "./service.ts"

NodeRuntime.runMain(Layer.launch(layer))
