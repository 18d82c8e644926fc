/** Runs the webhooks service alone, until SIGTERM. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Layer } from "effect"
import { layer } from "./service.ts"

NodeRuntime.runMain(Layer.launch(layer))
