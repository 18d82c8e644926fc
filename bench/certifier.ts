/**
 * Certificates a second at concurrency 8, and our own CPU for each: this certifier's client beside acme-client's own flow, and lego where it
 * is installed (Debian: `apt-get install lego`), in one run against one Pebble.
 *
 * `node bench/certifier.ts [--count 200] [--concurrency 8] [--rounds 3]`
 * Needs no sandbox: it starts a Pebble that refuses 5 % of good nonces and does not sleep before it validates. Each client issues with one
 * account, a fresh P-256 key and one HTTP-01 answer per certificate. Ours runs `AcmeAuthority`, the certifier's own course of an order, with
 * the tables and edges replaced by memory. CPU is that of the client's process (lego's: of its processes), not Pebble's. Clients take turns;
 * the median round counts. Pebble shares the cores.
 */
import { execFile } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { makeAcmeAuthority } from "@connect-domain/certifier/AcmeAuthority.ts"
import { makeAcmeSession } from "@connect-domain/certifier/acme/AcmeSession.ts"
import { type Account, registerAccount } from "@connect-domain/certifier/acme/accounts.ts"
import { egressTransport } from "@connect-domain/certifier/acme/egressTransport.ts"
import { generateKeyPem, readAccountKey } from "@connect-domain/certifier/acme/jws.ts"
import { ClaimMemory } from "@connect-domain/certifier/challenges/ChallengeMemory.ts"
import type { Proof } from "@connect-domain/certifier/challenges/Proof.ts"
import { freePorts } from "@connect-domain/domain/testing/freePorts.ts"
import { makeAddressPolicy, parseNetwork } from "@connect-domain/egress/AddressPolicy.ts"
import { HttpClient } from "@connect-domain/egress/HttpClient.ts"
import acme from "acme-client"
import { Effect, Scope, Semaphore } from "effect"
import { Pebble } from "../services/certifier/test/Pebble.ts"
import { Responder } from "../services/certifier/test/Responder.ts"
import { quantile, type Row, report } from "./report.ts"
import { inParallel } from "./Stack.ts"

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "200" },
    concurrency: { type: "string", default: "8" },
    rounds: { type: "string", default: "3" }
  }
})
const [count, concurrency, rounds] = [Number(values.count), Number(values.concurrency), Number(values.rounds)]

interface Client {
  readonly name: string
  /** Certificates in one round: slow clients get fewer. */
  readonly count: number
  readonly issue: (hostname: string) => Promise<void>
  /** CPU of other processes so far, milliseconds. */
  readonly elsewhere: () => number
}

const loopback = makeAddressPolicy([parseNetwork("127.0.0.0/8")!, parseNetwork("::1/128")!])
const nothing = Effect.void

const ours = async (pebble: Pebble, answers: Map<string, string>): Promise<Client> => {
  const made = Effect.provideService(
    HttpClient.make(loopback, { ca: readFileSync(pebble.caFile, "utf8") }),
    Scope.Scope,
    Scope.makeUnsafe()
  )
  const client = await Effect.runPromise(made)
  const session = makeAcmeSession(pebble.directory, egressTransport(client))
  const account: Account = await Effect.runPromise(registerAccount(session, readAccountKey(generateKeyPem()), { contacts: [] }))
  const authority = makeAcmeAuthority({
    name: "pebble",
    directory: pebble.directory,
    session,
    profile: undefined,
    accounts: { at: () => Effect.succeed(account), forget: () => nothing },
    budgets: {
      takeOrder: () => Effect.undefined,
      countFailure: () => nothing,
      pause: () => nothing,
      paused: Effect.succeed(new Map()),
      forget: nothing
    },
    memory: {
      of: () => Effect.succeed(new ClaimMemory([])),
      worked: () => nothing,
      failed: () => nothing,
      forget: () => nothing,
      offers: () => Effect.undefined,
      learn: () => nothing
    },
    newOrders: Semaphore.makeUnsafe(16),
    onForgotten: nothing
  })
  const http: Proof = {
    method: "http-01",
    answer: ({ token, key }) => Effect.sync(() => ({ wasInPlace: Effect.succeed(answers.set(token, key).has(token)) })),
    ended: () => nothing
  }
  const asked = { replaces: undefined, failures: 0, resume: undefined, proofs: [http] }
  const issue = (hostname: string) => Effect.runPromise(Effect.asVoid(authority.issue({ hostname, ...asked }, () => nothing)))
  return { name: "connect-domain", count, issue, elsewhere: () => 0 }
}

const acmeClient = async (pebble: Pebble, answers: Map<string, string>): Promise<Client> => {
  // Its HTTP goes through axios, which trusts what the process trusts.
  const options = {
    directoryUrl: pebble.directory,
    accountKey: await acme.crypto.createPrivateEcdsaKey(),
    backoffMin: 100,
    backoffMax: 1000
  }
  const { Agent } = await import("node:https")
  acme.axios.defaults.httpsAgent = new Agent({ ca: readFileSync(pebble.caFile, "utf8"), keepAlive: true })
  const client = new acme.Client(options)
  await client.createAccount({ termsOfServiceAgreed: true })
  const issue = async (hostname: string) => {
    const [, csr] = await acme.crypto.createCsr({ commonName: hostname, altNames: [hostname] }, await acme.crypto.createPrivateEcdsaKey())
    await client.auto({
      csr,
      challengePriority: ["http-01"],
      skipChallengeVerification: true,
      challengeCreateFn: async (_authorization, challenge, key) => void answers.set(challenge.token, key),
      challengeRemoveFn: async () => {}
    })
  }
  return { name: "acme-client", count: Math.ceil(count / 2), issue, elsewhere: () => 0 }
}

/** One process for each certificate, as it is used; its answers come through its own server at a port behind the responder. */
const lego = async (pebble: Pebble, upstreams: Array<number>): Promise<Client | undefined> => {
  if (!existsSync("/usr/bin/lego")) return undefined
  const folder = mkdtempSync(join(tmpdir(), "lego-"))
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }))
  const env = { PATH: process.env.PATH, LEGO_CA_CERTIFICATES: pebble.caFile }
  // One folder, and so one account, for each port: lego is not made to share them.
  const ports = await freePorts(concurrency)
  upstreams.push(...ports)
  const free = [...ports]
  let spent = 0
  const issue = async (hostname: string) => {
    const port = free.pop()!
    const fixed = ["--server", pebble.directory, "--accept-tos", "--email", "bench@example.com", "--key-type", "ec256"]
    const args = [
      ...fixed,
      "--path",
      join(folder, String(port)),
      "--http",
      "--http.port",
      `127.0.0.1:${port}`,
      "--domains",
      hostname,
      "run"
    ]
    const took = await new Promise<number>((resolve, reject) =>
      execFile(
        "/bin/bash",
        ["-c", 'TIMEFORMAT="%U %S"; time "$@" 2>&1', "bash", "/usr/bin/lego", ...args],
        { env },
        (error, out, times) => {
          const [user = 0, system = 0] = times.trim().split("\n").at(-1)!.split(" ").map(Number)
          if (error === null) resolve((user + system) * 1000)
          else reject(new Error(out))
        }
      )
    )
    spent += took
    free.push(port)
  }
  return { name: "lego", count: Math.ceil(count / 10), issue, elsewhere: () => spent }
}

let serial = 0
const round = async ({ count, issue, elsewhere }: Client) => {
  const hostnames = Array.from({ length: count }, () => `h${serial++}.example.com`)
  const latencies: Array<number> = []
  const before = process.cpuUsage()
  const [spent, began] = [elsewhere(), performance.now()]
  await inParallel(hostnames, concurrency, async (hostname) => {
    const asked = performance.now()
    await issue(hostname)
    latencies.push(performance.now() - asked)
  })
  const seconds = (performance.now() - began) / 1000
  const { user, system } = process.cpuUsage(before)
  const cpu = elsewhere() > spent ? elsewhere() - spent : (user + system) / 1000
  return { perSecond: count / seconds, cpu: cpu / count, p50: quantile(latencies, 0.5) }
}

const pebble = await Pebble.start()
const responder = await Responder.start(pebble.httpPort)
const upstreams: Array<number> = []
responder.elsewhere = () => upstreams
try {
  const clients = [await ours(pebble, responder.answers), await acmeClient(pebble, responder.answers), await lego(pebble, upstreams)]
  const present = clients.filter((client) => client !== undefined)
  const results = new Map(present.map(({ name }) => [name, [] as Array<Awaited<ReturnType<typeof round>>>]))
  for (const client of present) await inParallel(Array.from({ length: 8 }), concurrency, () => client.issue(`warm${serial++}.example.com`))
  for (let n = 0; n < rounds; n++) for (const client of present) results.get(client.name)!.push(await round(client))
  const rows = present.flatMap(({ name }): ReadonlyArray<Row> => {
    const median = (field: "perSecond" | "cpu" | "p50") =>
      quantile(
        results.get(name)!.map((result) => result[field]),
        0.5
      )
    const isOurs = name === "connect-domain"
    return [
      { what: `${name}: certificates a second`, value: median("perSecond"), unit: "/s", ...(isOurs && { target: { atLeast: 35 } }) },
      { what: `${name}: CPU for each`, value: median("cpu"), unit: "ms", ...(isOurs && { target: { atMost: 25 } }) },
      { what: `${name}: p50 of one`, value: median("p50"), unit: "ms" }
    ]
  })
  process.exitCode = report("certifier", { count, concurrency, rounds, clients: present.map(({ name }) => name) }, rows) ? 0 : 1
} finally {
  await responder.stop()
  await pebble.stop()
}
