/**
 * Events as they happen, for somebody who watches: an event stream's reader is woken by them.
 *
 * Owns: a plain subscription. Leaves to Postgres: what was missed. Events sent while the connection is down do not arrive here, so that a
 * reader also looks into the log from time to time.
 */
import { type EventDefinition, subjectFilter } from "@connect-domain/messages/definition.ts"
import { Context, Effect, Layer, Queue, Result, Stream } from "effect"
import { codecOf } from "./codec.ts"
import { Nats } from "./Nats.ts"

export class Events extends Context.Service<
  Events,
  {
    /** Events from now on, of those whose subject's fields have the values given: `listen(connectionEvent, { connection_id })`. */
    readonly listen: <D extends EventDefinition>(
      definition: D,
      fields?: Readonly<Record<string, string>>
    ) => Stream.Stream<D["payload"]["Type"]>
  }
>()("nats/Events") {
  static readonly layer = Layer.effect(
    Events,
    Effect.map(Nats, (nats) =>
      Events.of({
        listen: (definition, fields = {}) =>
          Stream.callback((queue) =>
            Effect.acquireRelease(
              Effect.sync(() => {
                const codec = codecOf(definition.payload)
                return nats.subscribe(filterOf(definition, fields), (message) => {
                  const payload = codec.decode(message.data)
                  if (Result.isSuccess(payload)) Queue.offerUnsafe(queue, payload.success)
                })
              }),
              (subscription) => Effect.sync(() => subscription.unsubscribe())
            )
          )
      })
    )
  )
}

const filterOf = (definition: EventDefinition, fields: Readonly<Record<string, string>>): string =>
  subjectFilter({
    ...definition,
    subject: definition.subject.replace(/\{([a-z_]+)\}/g, (placeholder, field: string) => fields[field] ?? placeholder)
  })
