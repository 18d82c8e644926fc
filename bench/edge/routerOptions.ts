/** How node is started with the router where it is deployed: `deploy/compose.yaml` says why. */
import { readFileSync } from "node:fs"

export const routerOptions: ReadonlyArray<string> = ["--max-semi-space-size=32"]
export const allocator = "libtcmalloc_minimal.so.4"

/** `EDGE_PRELOAD`: another library instead, or none. */
export const routerEnvironment = { LD_PRELOAD: process.env["EDGE_PRELOAD"] ?? allocator }

/** The loader only warns of a library that is missing. Throws a sentence that says what to do. */
export const checkPreloaded = (pid: number, library = routerEnvironment.LD_PRELOAD): void => {
  if (!readFileSync(`/proc/${pid}/maps`, "utf8").includes(library))
    throw new Error(`${library} was not loaded: apt-get install libtcmalloc-minimal4, or EDGE_PRELOAD= to measure without`)
}
