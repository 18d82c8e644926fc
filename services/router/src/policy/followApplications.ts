/**
 * Keeps the applications equal to their bucket, for as long as NATS lets it.
 *
 * Owns: what an event changes. Leaves to libs/nats: surviving restarts, cuts and new buckets. Built against: a bucket that is empty because it was
 * made anew. Only a deletion that somebody asked for takes an application away; one that is merely not there keeps what it had.
 */
import { applications as bucket } from "@connect-domain/messages/buckets.ts"
import { Kv } from "@connect-domain/nats/Kv.ts"
import { Effect, Stream } from "effect"
import type { Applications } from "./Applications.ts"

/** Runs for ever. */
export const followApplications = (applications: Applications) =>
  Effect.flatMap(Kv, (kv) =>
    kv.bucket(bucket).watch.pipe(
      Stream.runForEach((event) =>
        Effect.sync(() => {
          if (event.type === "complete") applications.current = true
          if (event.type !== "entry") return
          if (event.value === undefined) applications.delete(event.key)
          else applications.put(event.value)
        })
      )
    )
  )
