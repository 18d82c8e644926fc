/**
 * What the gateway may ask of this service, and how refusals are told.
 *
 * Owns: the mapping between calls and the services of this folder. Ids that are none are `not_found`, as foreign ones are.
 */
import type { DatabaseError } from "@connect-domain/database/Database.ts"
import { isUuid } from "@connect-domain/domain/uuidv7.ts"
import * as messages from "@connect-domain/messages/webhooks.ts"
import { CallError, Calls } from "@connect-domain/nats/Calls.ts"
import { Effect } from "effect"
import { DeliveryLog, type DeliveryNotFound, type EndpointOff } from "./DeliveryLog.ts"
import { Dispatcher } from "./Dispatcher.ts"
import { type EndpointNotFound, Endpoints, type InvalidEndpoint } from "./Endpoints.ts"
import type { RotationInProgress } from "./Secrets.ts"

type Refusal = DatabaseError | DeliveryNotFound | EndpointNotFound | EndpointOff | InvalidEndpoint | RotationInProgress

const notFound = new CallError({ code: "not_found", message: "no such object" })

const refusal = (error: Refusal): CallError => {
  switch (error._tag) {
    case "EndpointNotFound":
    case "DeliveryNotFound":
      return notFound
    case "InvalidEndpoint":
      return new CallError({ code: "invalid", message: error.message, details: [{ field: error.field, message: error.problem }] })
    case "EndpointOff":
      return new CallError({ code: "invalid", message: error.message })
    case "RotationInProgress":
      return new CallError({ code: "rotation_in_progress", message: error.message, details: { until: error.until } })
    case "DatabaseError":
      return error.reason === "Unavailable" || error.reason === "SerializationFailure"
        ? new CallError({ code: "unavailable", message: "the database does not answer" })
        : new CallError({ code: "internal", message: "internal error" })
  }
}

const answer = <A, R>(effect: Effect.Effect<A, Refusal, R>): Effect.Effect<A, CallError, R> =>
  effect.pipe(
    Effect.tapError((error) =>
      error._tag === "DatabaseError" && error.reason === "Other" ? Effect.logError("a call failed", error.message) : Effect.void
    ),
    Effect.mapError(refusal)
  )

/** Runs only if all of these are ids. */
const withIds = <A, R>(ids: ReadonlyArray<string | null>, effect: Effect.Effect<A, Refusal, R>): Effect.Effect<A, CallError, R> =>
  ids.every((id) => id === null || isUuid(id)) ? answer(effect) : Effect.fail(notFound)

export const serveCalls = Effect.gen(function* () {
  const calls = yield* Calls
  const endpoints = yield* Endpoints
  const log = yield* DeliveryLog
  const dispatcher = yield* Dispatcher

  yield* calls.serve(messages.createEndpoint, ({ endpoint_id, tenant_id, application_id, url, events }) =>
    withIds([endpoint_id, tenant_id, application_id], endpoints.create({ id: endpoint_id, tenant_id, application_id, url, events }))
  )
  yield* calls.serve(messages.listEndpoints, ({ tenant_id, after, limit }) =>
    withIds([tenant_id, after], endpoints.list(tenant_id, { after, limit }))
  )
  yield* calls.serve(messages.readEndpoint, ({ tenant_id, endpoint_id }) =>
    withIds([tenant_id, endpoint_id], endpoints.read(tenant_id, endpoint_id))
  )
  yield* calls.serve(messages.updateEndpoint, ({ tenant_id, endpoint_id, ...change }) =>
    withIds([tenant_id, endpoint_id], endpoints.update(tenant_id, endpoint_id, change))
  )
  yield* calls.serve(messages.deleteEndpoint, ({ tenant_id, endpoint_id }) =>
    withIds([tenant_id, endpoint_id], Effect.as(endpoints.remove(tenant_id, endpoint_id), {}))
  )
  yield* calls.serve(messages.rotateSecret, ({ tenant_id, endpoint_id, revoke }) =>
    withIds([tenant_id, endpoint_id], endpoints.rotate(tenant_id, endpoint_id, revoke))
  )
  yield* calls.serve(messages.listDeliveries, ({ tenant_id, ...filter }) =>
    withIds([tenant_id, filter.after, filter.endpoint_id, filter.event_id], log.list(tenant_id, filter))
  )
  yield* calls.serve(messages.testEndpoint, ({ tenant_id, endpoint_id }) =>
    withIds(
      [tenant_id, endpoint_id],
      Effect.gen(function* () {
        const claim = yield* log.claimTest(tenant_id, endpoint_id)
        yield* dispatcher.attempt(claim)
        return yield* log.read(tenant_id, claim.id)
      })
    )
  )
  yield* calls.serve(messages.replayDelivery, ({ tenant_id, delivery_id }) =>
    withIds(
      [tenant_id, delivery_id],
      Effect.gen(function* () {
        const endpoint = yield* log.replay(tenant_id, delivery_id)
        const delivery = yield* log.read(tenant_id, delivery_id)
        yield* dispatcher.wake(endpoint, false)
        return delivery
      })
    )
  )
})
