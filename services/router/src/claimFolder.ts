/**
 * One process per snapshot folder, where several share the ports.
 *
 * Owns: the claim, which ends with the process, however it ends: a socket in Linux's abstract namespace (unix(7)), which is no file and can't be left
 * behind. Processes that share ports are in one network namespace, and so see each other's. Built against: two processes that write each other's
 * journals and traffic counts over.
 */
import { mkdirSync, statSync } from "node:fs"
import { createServer, type Server } from "node:net"
import { resolve } from "node:path"
import { Effect } from "effect"

/** Until the scope ends. Fails while another process has claimed it. */
export const claimFolder = (folder: string) =>
  Effect.acquireRelease(
    Effect.callback<Server, Error>((resume) => {
      const server = createServer((socket) => socket.destroy()).unref()
      server.once("error", (error: NodeJS.ErrnoException) => resume(Effect.fail(error.code === "EADDRINUSE" ? taken(folder) : error)))
      server.listen(`\0connect-domain-edge/${identityOf(folder)}`, () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  )

const taken = (folder: string) => new Error(`${folder} is another running process's; each needs one of its own`)

/** The same by whichever path. One that can't be made or read is told of by who reads it. */
const identityOf = (folder: string): string => {
  try {
    mkdirSync(folder, { recursive: true })
    const { dev, ino } = statSync(folder)
    return `${dev}/${ino}`
  } catch {
    return resolve(folder)
  }
}
