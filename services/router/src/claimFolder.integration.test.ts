import { mkdtempSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { claimFolder } from "./claimFolder.ts"
import { EdgeProcess } from "./testing/EdgeProcess.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "connect-domain-claim-"))),
  (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true }))
)

describe("a snapshot folder of processes that share ports", () => {
  it.live("is one process's at a time, by whichever path", () =>
    Effect.gen(function* () {
      const made = yield* folder
      const snapshot = join(made, "snapshot")
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* claimFolder(snapshot)
          symlinkSync(snapshot, join(made, "link"))
          for (const path of [snapshot, join(made, "link"), join(made, "link", "..", "snapshot", ".")]) {
            assert.include((yield* Effect.flip(Effect.scoped(claimFolder(path)))).message, "is another running process's")
          }
          yield* claimFolder(join(made, "other"))
        })
      )
      yield* claimFolder(snapshot)
    })
  )

  it.live("keeps a second process from starting, until the first one is gone, however it went", () =>
    Effect.gen(function* () {
      const snapshot = yield* folder
      const about = {
        CD_EDGE_REUSE_PORT: "true",
        CD_EDGE_SNAPSHOT_DIR: snapshot,
        NATS_URL: "nats://127.0.0.1:9",
        CD_EDGE_ADDRESSES: "127.0.0.1"
      }
      const start = (id: string) =>
        Effect.acquireRelease(
          Effect.tryPromise({ try: () => EdgeProcess.start({ ...about, CD_EDGE_ID: id }), catch: (error) => error as Error }),
          (edge) => Effect.promise(() => edge.stop("SIGKILL"))
        )
      const first = yield* start("a")
      const refused = yield* Effect.flip(start("b"))
      assert.include(refused.message, `CD_EDGE_SNAPSHOT_DIR: Error: ${snapshot} is another running process's`)
      yield* Effect.promise(() => first.stop("SIGKILL"))
      yield* start("b")
    })
  )
})
