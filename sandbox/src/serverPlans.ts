/**
 * Plans for the sandbox's small servers and for the services: which script, which environment, when it counts as ready.
 *
 * Owns: those plans. Leaves to `postgresServer.ts`, `natsServer.ts`, `pebbleServer.ts`: the big three.
 */

import { get } from "node:http"
import { connect } from "node:net"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { type ServiceName, serviceNames } from "@connect-domain/messages/definition.ts"
import { type DevDirectory, repositoryRoot } from "./DevDirectory.ts"
import type { ProcessPlan } from "./ManagedProcess.ts"
import type { Ports } from "./ports.ts"
import type { Secrets } from "./Secrets.ts"

const accepts = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy()
      resolve(true)
    })
    socket.once("error", () => resolve(false))
  })

const says200 = (url: string): Promise<boolean> =>
  new Promise((resolve) => {
    const call = get(url, { timeout: 2_000, agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    call.on("timeout", () => call.destroy())
    call.on("error", () => resolve(false))
  })

const until = (check: () => Promise<boolean>) => async (signal: AbortSignal) => {
  while (!signal.aborted && !(await check())) await sleep(25)
}

/** What a service that isn't ready says about itself; undefined when it is ready. */
const unreadyOf = async (url: string): Promise<string | undefined> => {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) })
    const text = await response.text()
    return response.ok ? undefined : text.slice(0, 200)
  } catch {
    return "starting"
  }
}

/** For a start that takes long: which services are not ready, and why. */
export const waitingFor = async (ports: Ports, healthPorts: Readonly<Record<ServiceName, number>>): Promise<string> => {
  const lines = await Promise.all(
    serviceNames.map(async (service) => {
      const reason = await unreadyOf(`http://127.0.0.1:${service === "gateway" ? ports.internal : healthPorts[service]}/readyz`)
      return reason === undefined ? [] : [`${service}: ${reason}`]
    })
  )
  return lines.flat().join("; ")
}

export const logFile = (directory: DevDirectory, name: string): string => join(directory.logs, `${name}.log`)

/** Modules compiled once are read from here at the next start. */
const compileCache = { NODE_COMPILE_CACHE: join(repositoryRoot, ".dev", "compiled") }

const script = (options: {
  readonly name: string
  readonly path: string
  readonly records: ReadonlyArray<string>
  readonly environment: Record<string, string>
  readonly log: string
  readonly ready: () => Promise<boolean>
  readonly readyWithinSeconds?: number
}): ProcessPlan => ({
  name: options.name,
  records: options.records,
  command: process.execPath,
  arguments: [join(repositoryRoot, options.path)],
  environment: { PATH: process.env.PATH, ...compileCache, ...options.environment },
  log: options.log,
  stopSignal: "SIGTERM",
  readyWithinSeconds: options.readyWithinSeconds ?? 60,
  ready: until(options.ready)
})

export const dnsPlan = (directory: DevDirectory, ports: Ports, secrets: Secrets): ProcessPlan =>
  script({
    name: "dns",
    path: "sandbox/src/dns/main.ts",
    records: ["dns"],
    environment: {
      CD_SANDBOX_DNS_LISTEN: `127.0.0.1:${ports.dns}`,
      CD_SANDBOX_DNS_API_LISTEN: `127.0.0.1:${ports.dnsApi}`,
      CD_SANDBOX_DNS_API_KEY: secrets.dnsApiKey,
      CD_SANDBOX_DNS_STATE: join(directory.dns, "zones.journal")
    },
    log: logFile(directory, "dns"),
    ready: () => accepts(ports.dnsApi)
  })

export const originPlan = (directory: DevDirectory, ports: Ports): ProcessPlan =>
  script({
    name: "origin",
    path: "sandbox/src/origin.ts",
    records: ["origin"],
    environment: { CD_ORIGIN_LISTEN: `127.0.0.1:${ports.origin}` },
    log: logFile(directory, "origin"),
    ready: () => accepts(ports.origin)
  })

export const webhookSinkPlan = (directory: DevDirectory, ports: Ports): ProcessPlan =>
  script({
    name: "webhook_sink",
    path: "sandbox/src/webhookSink.ts",
    records: ["webhook_sink"],
    environment: {
      CD_WEBHOOK_SINK_LISTEN: `127.0.0.1:${ports.webhookSink}`,
      CD_WEBHOOK_SINK_SECRETS: join(directory.root, "webhook-sink-secrets.json")
    },
    log: logFile(directory, "webhook_sink"),
    ready: () => accepts(ports.webhookSink)
  })

/** Ready means also: every certificate of a vanished test authority was replaced, which takes a while for thousands. */
const serviceLimitSeconds = 900

/** When a service serves: the two with listeners of their own are asked there, the others by their health listener. */
const readiness = (service: ServiceName, ports: Ports, healthPorts: Readonly<Record<ServiceName, number>>): (() => Promise<boolean>) => {
  if (service === "gateway") return () => says200(`http://127.0.0.1:${ports.internal}/readyz`)
  const healthy = () => says200(`http://127.0.0.1:${healthPorts[service]}/readyz`)
  return service === "router" ? async () => (await accepts(ports.edgeHttps)) && (await healthy()) : healthy
}

export const servicePlans = (options: {
  readonly split: boolean
  readonly directory: DevDirectory
  readonly ports: Ports
  readonly healthPorts: Readonly<Record<ServiceName, number>>
  readonly environmentOf: (services: ReadonlyArray<ServiceName>) => Record<string, string>
}): ReadonlyArray<ProcessPlan> => {
  const { directory, ports, healthPorts } = options
  const health = (services: ReadonlyArray<ServiceName>) =>
    Object.fromEntries(services.map((service) => [`CD_${service.toUpperCase()}_HEALTH_LISTEN`, `127.0.0.1:${healthPorts[service]}`]))
  if (!options.split) {
    const checks = serviceNames.map((service) => readiness(service, ports, healthPorts))
    return [
      script({
        name: "services",
        path: "deploy/all-in-one/main.ts",
        records: serviceNames,
        environment: { ...options.environmentOf(serviceNames), ...health(serviceNames) },
        log: logFile(directory, "services"),
        readyWithinSeconds: serviceLimitSeconds,
        ready: async () => (await Promise.all(checks.map((check) => check()))).every(Boolean)
      })
    ]
  }
  return serviceNames.map((service) =>
    script({
      name: `service:${service}`,
      path: `services/${service}/src/main.ts`,
      records: [service],
      environment: { ...options.environmentOf([service]), ...health([service]) },
      log: logFile(directory, service),
      readyWithinSeconds: serviceLimitSeconds,
      ready: readiness(service, ports, healthPorts)
    })
  )
}
