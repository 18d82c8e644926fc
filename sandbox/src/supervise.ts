/**
 * The background process behind `./dev up`: starts servers and services in order, tells its parent what it does, stays.
 *
 * Owns: what a sandbox consists of, and the order. Leaves to `Supervisor.ts`: keeping it alive; to `up.ts`: what the user sees.
 * Its parent talks to it over Node's channel: it sends `Progress`, and ends the sandbox when the parent of an attached start goes away.
 */
import { freePorts } from "@connect-domain/domain/testing/freePorts.ts"
import { type ServiceName, serviceNames } from "@connect-domain/messages/definition.ts"
import { CustomerDns } from "./CustomerDns.ts"
import { createDevDirectory, type DevDirectory, devDirectory, Refusal } from "./DevDirectory.ts"
import { findProgram, natsServer, pebbleServer, requireProgram } from "./findProgram.ts"
import { migrateDatabase } from "./migrateDatabase.ts"
import { natsPlan, operatorNatsUrl } from "./natsServer.ts"
import { acmeAuthorityFile, acmeDirectoryUrl, acmeManagementUrl, pebblePlan } from "./pebbleServer.ts"
import { choosePorts, type PortName, type Ports, portTable } from "./ports.ts"
import { databaseUrl, postgresPlan } from "./postgresServer.ts"
import { loadSecrets, type Secrets } from "./Secrets.ts"
import { Supervisor } from "./Supervisor.ts"
import { seedTenants } from "./seed.ts"
import { dnsPlan, logFile, originPlan, servicePlans, waitingFor, webhookSinkPlan } from "./serverPlans.ts"
import { type SandboxAddresses, serviceEnvironment } from "./serviceEnvironment.ts"

export type Progress =
  | { readonly kind: "note"; readonly text: string }
  | { readonly kind: "step"; readonly what: string; readonly millis: number }
  | { readonly kind: "ready" }
  | { readonly kind: "failed"; readonly text: string }

const send = (progress: Progress): void => {
  if (process.connected) process.send?.(progress)
}
const note = (text: string): void => send({ kind: "note", text })
const step = async <A>(what: string, work: () => Promise<A>): Promise<A> => {
  const began = Date.now()
  const result = await work()
  send({ kind: "step", what, millis: Date.now() - began })
  return result
}

/** Addresses in the environment replace servers of the sandbox's own. */
const given = {
  database: process.env.DATABASE_URL,
  nats: process.env.NATS_URL,
  acme: process.env.CD_ACME_DIRECTORY,
  dns: process.env.CD_PDNS_ADDRESS
}

const neededPorts = (): ReadonlySet<PortName> => {
  const without = new Set<PortName>()
  if (given.database) without.add("postgres")
  if (given.nats) without.add("nats")
  if (given.acme) without.add("acme").add("acmeManagement")
  if (given.dns) without.add("dns").add("dnsApi")
  return new Set((Object.keys(portTable) as Array<PortName>).filter((name) => !without.has(name)))
}

const healthPorts = async (others: Ports): Promise<Record<ServiceName, number>> => {
  const ports = await freePorts(serviceNames.length, Object.values(others))
  return Object.fromEntries(serviceNames.map((service, at) => [service, ports[at]!] as const)) as Record<ServiceName, number>
}

const dnsOf = (ports: Ports, secrets: Secrets) => {
  if (!given.dns) return { address: `127.0.0.1:${ports.dns}`, api_url: `http://127.0.0.1:${ports.dnsApi}`, api_key: secrets.dnsApiKey }
  const [url, key] = [process.env.CD_PDNS_API_URL, process.env.CD_PDNS_API_KEY]
  if (!url || !key) throw new Refusal("CD_PDNS_ADDRESS is set: CD_PDNS_API_URL and CD_PDNS_API_KEY must be set too.")
  return { address: given.dns, api_url: url.replace(/\/+$/, ""), api_key: key }
}

/** Where questions to authoritative servers go: the DNS above, unless the person who starts the sandbox names another server. */
const authority = (address: string): string => process.env.CD_DNS_AUTHORITY_OVERRIDE || address

/** The sandbox's own DNS knows the edge; a server from the environment has to be told, or the target of every CNAME leads nowhere. */
const holdEdgeName = (dns: ReturnType<typeof dnsOf>): Promise<void> =>
  new CustomerDns(dns).put("connect.test", [{ host: "edge.connect.test", type: "A", value: "127.0.0.1", ttl: 60 }])

/** Where customers delegate `_acme-challenge` to, if the person names a zone for that. */
const holdAcmeZone = async (dns: ReturnType<typeof dnsOf>): Promise<void> => {
  const zone = process.env.CD_ACME_DNS_ZONE
  if (zone && !process.env.CD_ACME_DNS_PROVIDER) await new CustomerDns(dns).ensureZone(zone)
}

/** Starts every server that the environment doesn't give; `acme` is undefined without Pebble. */
const startServers = async (supervisor: Supervisor, directory: DevDirectory, ports: Ports, secrets: Secrets): Promise<SandboxAddresses> => {
  const dns = dnsOf(ports, secrets)
  const url = given.database ?? databaseUrl(ports.postgres, secrets.postgresPassword)
  const program = requireProgram(natsServer, note)
  const pebbleProgram = program.then(() => (given.acme ? undefined : findProgram(pebbleServer, note)))
  const work: Array<Promise<unknown>> = []
  const startDns = () => supervisor.start(dnsPlan(directory, ports, secrets))
  if (!given.nats) {
    const start = async () => {
      const log = logFile(directory, "nats")
      await supervisor.start(await natsPlan({ program: await program, directory, port: ports.nats, secrets, log }))
    }
    work.push(step("NATS", start))
  }
  work.push(given.dns ? step("the edge's name in the DNS given", () => holdEdgeName(dns)) : step("sandbox DNS", startDns))
  work.push(step("echo origin", () => supervisor.start(originPlan(directory, ports))))
  work.push(step("webhook sink", () => supervisor.start(webhookSinkPlan(directory, ports))))
  const pebble = pebbleProgram.then(async (found) => {
    if (found === undefined) return false
    const log = logFile(directory, "pebble")
    await step("Pebble (test certificate authority)", async () =>
      supervisor.start(await pebblePlan({ program: found, directory, ports, dnsAddress: authority(dns.address), log }))
    )
    return true
  })
  const postgres = async () => {
    const log = logFile(directory, "postgres")
    const plan = () => postgresPlan({ directory, port: ports.postgres, password: secrets.postgresPassword, log, report: note })
    if (!given.database) await step("Postgres", async () => supervisor.start(await plan()))
    await step("database schema", () => migrateDatabase(url))
  }
  const [hasPebble] = await Promise.all([pebble, ...work, postgres()])
  await holdAcmeZone(dns)
  if (!hasPebble && !given.acme) note(`Pebble was not found, so the certifier's own internal authority issues. ${pebbleServer.advice}`)
  return {
    databaseUrl: url,
    natsUrl: given.nats ?? `nats://127.0.0.1:${ports.nats}`,
    acmeDirectory: hasPebble ? acmeDirectoryUrl(ports) : given.acme === "internal" ? undefined : given.acme,
    acmeRootsUrl: hasPebble ? `${acmeManagementUrl(ports)}/roots` : undefined,
    acmeAuthorityFile: hasPebble ? acmeAuthorityFile(directory) : process.env.CD_ACME_CA_FILE,
    dns: authority(dns.address),
    dnsApi: { url: dns.api_url, key: dns.api_key }
  }
}

const startSandbox = async (supervisor: Supervisor, directory: DevDirectory, split: boolean): Promise<void> => {
  const ports = await choosePorts(directory, process.env, neededPorts())
  const secrets = await loadSecrets(directory)
  const addresses = await startServers(supervisor, directory, ports, secrets)
  const environmentOf = (services: ReadonlyArray<ServiceName>) =>
    serviceEnvironment(services, { directory, ports, secrets, addresses, env: process.env })
  const health = await healthPorts(ports)
  const plans = servicePlans({ split, directory, ports, healthPorts: health, environmentOf })
  const waiting = setInterval(() => void waitingFor(ports, health).then((text) => note(`waiting for ${text}`)), 5_000)
  try {
    const what = split ? "services, one process each" : "services, in one process"
    await step(what, () => Promise.all(plans.map((plan) => supervisor.start(plan))))
  } finally {
    clearInterval(waiting)
  }
  const sink = `http://127.0.0.1:${ports.webhookSink}`
  const api = `http://127.0.0.1:${ports.api}`
  const origin = `http://127.0.0.1:${ports.origin}`
  const natsUrl = given.nats ?? operatorNatsUrl(ports.nats, secrets)
  const seeds = await step("tenants, applications, keys", () =>
    seedTenants({ directory, databaseUrl: addresses.databaseUrl, api, origin, sink })
  )
  const hasPebble = addresses.acmeAuthorityFile !== undefined && !given.acme
  supervisor.publish({
    api,
    internal: `http://127.0.0.1:${ports.internal}`,
    edge_http: `http://127.0.0.1:${ports.edgeHttp}`,
    edge_https: `https://127.0.0.1:${ports.edgeHttps}`,
    ...seeds.tenant,
    dns: dnsOf(ports, secrets),
    acme: {
      directory: addresses.acmeDirectory ?? null,
      root_ca: directory.roots,
      management: hasPebble ? acmeManagementUrl(ports) : null,
      tls_ca: addresses.acmeAuthorityFile ?? null
    },
    other: seeds.other,
    nats_url: natsUrl,
    database_url: addresses.databaseUrl,
    origin,
    webhook_sink: { url: `${sink}/hook`, received: `${sink}/received` }
  })
}

const main = async (): Promise<void> => {
  const split = process.argv.includes("--split")
  const attached = process.argv.includes("--attached")
  const directory = devDirectory()
  createDevDirectory(directory)
  const supervisor = new Supervisor(directory, split)
  const end = (code: number) => void supervisor.stop().finally(() => process.exit(code))
  process.on("SIGTERM", () => end(0))
  process.on("SIGINT", () => end(0))
  process.on("SIGHUP", () => undefined)
  if (attached) process.on("disconnect", () => end(0))
  try {
    await startSandbox(supervisor, directory, split)
    send({ kind: "ready" })
  } catch (error) {
    send({ kind: "failed", text: error instanceof Refusal ? error.message : String((error as Error).stack ?? error) })
    end(1)
  }
}

await main()
