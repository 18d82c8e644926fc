/** The real router in a process of its own, where Pebble asks: for tests in which a stand-in might agree with our mistakes. */
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import type { FakeEdge } from "./FakeEdge.ts"
import type { Pebble } from "./Pebble.ts"

/** Runs until the scope closes. What it gives back says and changes nothing: a real router can't be told not to answer. */
export const spawnRouter = Effect.fnUntraced(function* (env: Readonly<Record<string, string>>, pebble: Pebble) {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "certifier-edge-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true, maxRetries: 5 }))
  )
  yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, [join(import.meta.dirname, "../../router/src/main.ts")], {
        env: {
          ...{ PATH: process.env.PATH, ...env, CD_EDGE_ID: "edge-1", CD_EDGE_SNAPSHOT_DIR: folder },
          ...{ CD_EDGE_HTTP_LISTEN: `127.0.0.1:${pebble.httpPort}`, CD_EDGE_HTTPS_LISTEN: `127.0.0.1:${pebble.tlsPort}` }
        },
        stdio: ["ignore", "inherit", "inherit"]
      })
    ),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  return { applied: new Map(), alive: true, answering: true } satisfies FakeEdge
})
