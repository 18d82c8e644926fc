import { mkdtempSync, rmSync } from "node:fs"
import { createServer, type Server } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, assert, describe, it } from "@effect/vitest"
import { devDirectory } from "./DevDirectory.ts"
import { choosePorts } from "./ports.ts"

const folder = mkdtempSync(join(tmpdir(), "connect-domain-ports-"))
const directory = devDirectory({ CD_DEV_DIR: folder })
const servers: Array<Server> = []

const occupy = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer()
    servers.push(server)
    server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port))
  })

afterEach(() => {
  for (const server of servers.splice(0)) server.close()
  rmSync(folder, { recursive: true, force: true })
})

const message = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "",
    (error: Error) => error.message
  )

describe("choosePorts", () => {
  it("names a taken port and the variable that changes it", async () => {
    const taken = await occupy()
    const said = await message(choosePorts(directory, { CD_API_PORT: String(taken) }, new Set(["api"])))
    assert.include(said, `${taken} (REST API)`)
    assert.include(said, "CD_API_PORT=<port>")
  })

  it("refuses what is no port, and one port for two things", async () => {
    assert.include(await message(choosePorts(directory, { CD_API_PORT: "http" }, new Set(["api"]))), "CD_API_PORT=http is not a port")
    const free = await occupy()
    servers.splice(0).forEach((server) => {
      server.close()
    })
    const env = { CD_API_PORT: String(free), CD_INTERNAL_PORT: String(free) }
    assert.include(await message(choosePorts(directory, env, new Set(["api", "internal"]))), "CD_INTERNAL_PORT")
  })

  it("does not mind a taken port that is not needed", async () => {
    const taken = await occupy()
    const ports = await choosePorts(directory, { CD_POSTGRES_PORT: String(taken) }, new Set())
    assert.strictEqual(ports.postgres, taken)
  })
})
