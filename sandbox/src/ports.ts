/**
 * The sandbox's ports: names, defaults, the variables that change them, and finding out that one is taken.
 *
 * Owns: the table and the choice of free ports (`CD_PORTS=auto`). Leaves to each server: listening.
 * Built against: a server that dies with EADDRINUSE in a log nobody reads, and two sandboxes on one machine.
 * Defaults and automatic choices lie below the range from which systems draw ports for outgoing connections (32768 and up).
 */
import { createSocket } from "node:dgram"
import { createServer } from "node:net"
import { type DevDirectory, Refusal, readJson, writeJson } from "./DevDirectory.ts"

interface Port {
  readonly variable: string
  readonly default: number
  readonly meaning: string
  readonly udp?: true
}

export const portTable = {
  api: { variable: "CD_API_PORT", default: 8080, meaning: "REST API" },
  internal: { variable: "CD_INTERNAL_PORT", default: 8081, meaning: "internal listener (ask, health, metrics)" },
  edgeHttp: { variable: "CD_EDGE_HTTP_PORT", default: 8088, meaning: "edge, HTTP" },
  edgeHttps: { variable: "CD_EDGE_HTTPS_PORT", default: 8443, meaning: "edge, HTTPS" },
  postgres: { variable: "CD_POSTGRES_PORT", default: 15432, meaning: "Postgres" },
  nats: { variable: "CD_NATS_PORT", default: 14222, meaning: "NATS" },
  acme: { variable: "CD_ACME_PORT", default: 14000, meaning: "Pebble, ACME" },
  acmeManagement: { variable: "CD_ACME_MANAGEMENT_PORT", default: 15000, meaning: "Pebble, management" },
  dns: { variable: "CD_DNS_PORT", default: 15353, meaning: "sandbox DNS", udp: true },
  dnsApi: { variable: "CD_DNS_API_PORT", default: 18053, meaning: "sandbox DNS, HTTP interface" },
  origin: { variable: "CD_ORIGIN_PORT", default: 18080, meaning: "echo origin" },
  webhookSink: { variable: "CD_WEBHOOK_SINK_PORT", default: 18090, meaning: "webhook sink" }
} as const satisfies Record<string, Port>

export type PortName = keyof typeof portTable
export type Ports = Readonly<Record<PortName, number>>

const names = Object.keys(portTable) as ReadonlyArray<PortName>

const tcpFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer()
    server.once("error", () => resolve(false))
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)))
  })

const udpFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createSocket("udp4")
    socket.once("error", () => {
      socket.close()
      resolve(false)
    })
    socket.bind(port, "127.0.0.1", () => socket.close(() => resolve(true)))
  })

const isFree = async (name: PortName, port: number): Promise<boolean> => {
  const entry: Port = portTable[name]
  return (await tcpFree(port)) && (entry.udp !== true || (await udpFree(port)))
}

const given = (name: PortName, env: NodeJS.ProcessEnv): number | undefined => {
  const { variable } = portTable[name]
  const text = env[variable]
  if (text === undefined || text === "") return undefined
  const port = Number(text)
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new Refusal(`${variable}=${text} is not a port: a number from 1 to 65535.`)
  return port
}

const chooseFree = async (name: PortName, used: ReadonlySet<number>): Promise<number> => {
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    if (!used.has(port) && (await isFree(name, port))) return port
  }
  throw new Refusal(`No free port found for the ${portTable[name].meaning}; choose one with ${portTable[name].variable}.`)
}

/** With `CD_PORTS=auto` a sandbox keeps the ports it had, as long as they are free. */
export const choosePorts = async (directory: DevDirectory, env: NodeJS.ProcessEnv, needed: ReadonlySet<PortName>): Promise<Ports> => {
  const automatic = env.CD_PORTS === "auto"
  if (!automatic && env.CD_PORTS !== undefined && env.CD_PORTS !== "") {
    throw new Refusal(`CD_PORTS=${env.CD_PORTS} is unknown: leave it out, or set CD_PORTS=auto.`)
  }
  const before = automatic ? readJson<Partial<Ports>>(directory.ports) : undefined
  const ports: Record<string, number> = {}
  const taken: Array<string> = []
  const used = new Set<number>()
  for (const name of names) {
    const fixed = given(name, env)
    let port = fixed ?? before?.[name] ?? portTable[name].default
    if (
      needed.has(name) &&
      (used.has(port) || !(await isFree(name, port)) || (automatic && fixed === undefined && before?.[name] === undefined))
    ) {
      if (!automatic || fixed !== undefined)
        taken.push(`  ${port} (${portTable[name].meaning}): change it with ${portTable[name].variable}=<port>`)
      else port = await chooseFree(name, used)
    }
    used.add(port)
    ports[name] = port
  }
  if (taken.length > 0) {
    throw new Refusal(`These ports are taken by other programs:\n${taken.join("\n")}\nOr let free ones be chosen: CD_PORTS=auto ./dev up`)
  }
  if (automatic) writeJson(directory.ports, ports)
  return ports as Ports
}
