/**
 * What the stand-ins share: the state that a test looks at and sets, and the switch by which any of their calls is refused.
 *
 * Leaves to the files of each service what they answer otherwise.
 */
import type { ConnectionView } from "@connect-domain/messages/connection.ts"
import { CallError, Calls } from "@connect-domain/nats/Calls.ts"
import { Effect } from "effect"

export interface StandIns {
  /** Subject → what the next calls are refused with; delete to answer again. */
  readonly refuse: Map<string, CallError>
  /** Connection ids of reservations that were made and not released. */
  readonly reserved: Set<string>
  readonly created: Map<string, ConnectionView>
  /** Creates that came in, repetitions included. */
  readonly createCalls: Array<string>
  /** While set, creates wait for it. */
  hold: Promise<void> | undefined
}

export const notFound = new CallError({ code: "not_found", message: "no such object" })

type Serve = Calls["Service"]["serve"]

/** Every handler behind the switch `refuse`. */
export const switched = (state: StandIns) =>
  Effect.map(
    Calls,
    (calls): Serve =>
      (definition, handler) =>
        calls.serve(definition, (payload) =>
          Effect.suspend(() => {
            const refusal = state.refuse.get(definition.subject)
            return refusal === undefined ? handler(payload) : Effect.fail(refusal)
          })
        )
  )
