/** One call over NATS as the operator: the person's own tool, never a service. */
import type { CallDefinition } from "@connect-domain/messages/definition.ts"
import { Calls } from "@connect-domain/nats/Calls.ts"
import { Nats } from "@connect-domain/nats/Nats.ts"
import { ConfigProvider, Effect, Layer } from "effect"

export const callAsOperator = <D extends CallDefinition>(
  options: { readonly natsUrl: string; readonly seed: string },
  definition: D,
  payload: D["payload"]["Type"]
): Promise<D["success"]["Type"]> => {
  const settings = ConfigProvider.layer(ConfigProvider.fromEnvRecord({ NATS_URL: options.natsUrl, CD_OPERATOR_NATS_SEED: options.seed }))
  const layer = Calls.layer.pipe(Layer.provide(Nats.layer("operator")), Layer.provide(settings))
  return Effect.runPromise(
    Effect.flatMap(Calls, (calls) => calls.request(definition, payload)).pipe(Effect.provide(layer), Effect.scoped) as Effect.Effect<
      D["success"]["Type"],
      unknown
    >
  )
}
