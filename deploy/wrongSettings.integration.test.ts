/** Each program of the product, started with several wrong settings at once: all are named, nothing was opened, nobody was spoken to. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { type AddressInfo, connect, createServer, type Server } from "node:net"
import { fileURLToPath } from "node:url"
import { freePort, freePorts } from "@connect-domain/domain/testing/freePorts.ts"
import { sandboxKey } from "@connect-domain/secrets/KeyRing.ts"
import { afterAll, beforeAll, describe, expect, it } from "vitest"

const root = fileURLToPath(new URL("..", import.meta.url))
const knownKey = `k1:${Buffer.from(sandboxKey("EDGE_KEK")).toString("base64")}`
const shortKey = `k1:${Buffer.from("much-too-short").toString("base64")}`

/** Accepts like NATS and Postgres would, and counts. */
let listener: Server
let visitors = 0

beforeAll(async () => {
  listener = createServer((socket) => {
    visitors++
    socket.destroy()
  }).listen(0, "127.0.0.1")
  await once(listener, "listening")
})
afterAll(() => void listener.close())

const portOf = (server: Server) => (server.address() as AddressInfo).port

const answers = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connect(port, "127.0.0.1")
    socket.once("connect", () => {
      socket.destroy()
      resolve(true)
    })
    socket.once("error", () => resolve(false))
  })

/** Runs a program to its end, looking all the while whether one of the ports answers. */
const run = async (program: string, env: Record<string, string>, ports: ReadonlyArray<number>) => {
  const child = spawn(process.execPath, [program], { cwd: root, env: { PATH: process.env.PATH ?? "", ...env } })
  let [output, errors, open] = ["", "", false]
  child.stdout.on("data", (data) => (output += String(data)))
  child.stderr.on("data", (data) => (errors += String(data)))
  const ended = once(child, "close")
  while (child.exitCode === null && child.signalCode === null) {
    for (const port of ports) open ||= await answers(port)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  await ended
  return { code: child.exitCode, lines: errors.trim().split("\n").slice(1), errors, output, open }
}

const nameOf = (line: string) => /^[A-Z0-9_]+/.exec(line)?.[0]

/** What is wrong in every program's environment, and what only some of them read. */
const wrong: Readonly<Record<string, Record<string, string>>> = {
  gateway: {
    CD_MODE: "production",
    CD_EDGE_HOSTNAME: "edge.connect.test",
    CD_EDGE_ADDRESSES: "127.0.0.1",
    CREDENTIAL_ENC_KEY: knownKey,
    CD_TOKEN_KEY: "k1:%%%",
    CD_NETWORK_ALLOW: "127.0.0.0/8",
    CD_RATE_LIMIT: "-1",
    CD_API_LISTEN: "everywhere"
  },
  lifecycle: {
    CD_EDGE_HOSTNAME: "not a name",
    CD_EDGE_ADDRESSES: "192.0.2.1,edge",
    CD_LIVE_CHECK_SECONDS: "0",
    CD_DEPARTED_AFTER_SECONDS: "a month",
    CD_NATS_REPLICAS: "2"
  },
  connector: {
    CREDENTIAL_ENC_KEY: shortKey,
    CD_NETWORK_ALLOW: "0.0.0.0/0",
    CD_DNS_AUTHORITY_OVERRIDE: "198.51.100.1:53",
    CD_DNS_ROOTS: "a.root-servers.net",
    CD_DNS_VALIDATING_RESOLVER: "198.51.100.1",
    CD_CAA_ISSUERS: "let's encrypt"
  },
  certifier: {
    EDGE_KEK: knownKey,
    CD_ACME_KEK: "k1:",
    CD_NETWORK_ALLOW: "10.0.0.0/33",
    CD_ACME_DIRECTORY: "http://ca.example.com/directory",
    CD_ACME_DIRECTORY_TEST: "somewhere",
    CD_ACME_CA_FILE: "/no/such/file",
    CD_ACME_CONTACT: "nobody",
    CD_ACME_LIMITS: "/no/such/file",
    CD_ACME_WEIGHTS: "many",
    CD_ARI_POLL_SECONDS: "0",
    CD_CERTIFIER_CONCURRENCY: "many",
    CD_INTERNAL_CA_LIFETIME: "a while"
  },
  router: {
    EDGE_KEK: shortKey,
    CD_NETWORK_ALLOW: "::1/128",
    CD_EDGE_HTTPS_LISTEN: "0.0.0.0:70000",
    CD_PUBLIC_HTTPS_PORT: "0",
    CD_EDGE_DRAIN_SECONDS: "-1",
    CD_EDGE_ACCESS_LOG: "some"
  },
  billing: { CD_PLANS_FILE: "/no/such/file" },
  webhooks: { WEBHOOK_KEK: knownKey, CD_WEBHOOK_DISABLE_AFTER_DAYS: "0", CD_WEBHOOK_ROTATION_OVERLAP: "soon" }
}
const withDatabase = ["gateway", "lifecycle", "certifier", "billing", "webhooks"]

describe.concurrent("wrong settings", () => {
  for (const [service, own] of Object.entries(wrong)) {
    it(`${service}: one line for each, exit code 1, nothing half-started`, async () => {
      const [health, other] = (await freePorts(2)) as [number, number]
      const result = await run(
        `services/${service}/src/main.ts`,
        {
          NATS_URL: `nats://127.0.0.1:${portOf(listener)}`,
          [`CD_${service.toUpperCase()}_HEALTH_LISTEN`]: `127.0.0.1:${health}`,
          [`CD_${service.toUpperCase()}_NATS_SEED`]: "SU-not-a-seed",
          CD_INTERNAL_LISTEN: `127.0.0.1:${other}`,
          CD_EDGE_HTTP_LISTEN: `127.0.0.1:${other}`,
          DATABASE_URL: `mysql://someone:a-password@127.0.0.1:${portOf(listener)}/connect_domain`,
          CD_LOG_LEVEL: "loud",
          ...own
        },
        [health, other]
      )
      const { CD_MODE: _, ...named } = own
      const expected = ["CD_LOG_LEVEL", `CD_${service.toUpperCase()}_NATS_SEED`, ...Object.keys(named)]
      if (withDatabase.includes(service)) expected.push("DATABASE_URL")
      expect(result.lines.map(nameOf).sort()).toEqual(expected.sort())
      for (const line of result.lines) expect(line).toMatch(/^[A-Z0-9_]+(=".*")?: \S.*; give \S/)
      expect(result.code).toBe(1)
      expect(result.open).toBe(false)
      expect(visitors).toBe(0)
      expect(result.output).toBe("")
      for (const secret of ["a-password", knownKey.slice(3), shortKey.slice(3), "SU-not-a-seed"]) {
        expect(result.errors).not.toContain(secret)
      }
    })
  }

  it("all in one: the settings of all, each once", async () => {
    const port = await freePort()
    const result = await run(
      "deploy/all-in-one/main.ts",
      { NATS_URL: `nats://127.0.0.1:${portOf(listener)}`, CD_MODE: "sandbx", CD_API_LISTEN: `127.0.0.1:${port}`, EDGE_KEK: "rubbish" },
      [port]
    )
    const names = result.lines.map(nameOf)
    expect([...names].sort()).toEqual(
      ["CD_ACME_KEK", "CD_EDGE_HOSTNAME", "CD_MODE", "CD_TOKEN_KEY", "CREDENTIAL_ENC_KEY", "DATABASE_URL", "EDGE_KEK", "WEBHOOK_KEK"].sort()
    )
    expect(result.code).toBe(1)
    expect(result.open).toBe(false)
    expect(visitors).toBe(0)
  })
})
