/**
 * The sandbox's NATS: one server with JetStream, every service a user of its own whose permissions come from the message catalogue.
 *
 * Owns: the server's configuration file. Leaves to libs/nats: what each service may do; to the catalogue: subjects.
 * Built against: a service that can publish what it has no business to say, unnoticed until production.
 */
import { connect } from "node:net"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { serviceNames } from "@connect-domain/messages/definition.ts"
import { permissionsOf } from "@connect-domain/nats/permissions.ts"
import { type DevDirectory, writeWhole } from "./DevDirectory.ts"
import type { ProcessPlan } from "./ManagedProcess.ts"
import { publicKeyOf } from "./nkeys.ts"
import type { Secrets } from "./Secrets.ts"

export const operatorUser = "operator"

/** For the person's own tools: may do everything. */
export const operatorNatsUrl = (port: number, secrets: Secrets): string =>
  `nats://${operatorUser}:${secrets.natsPassword}@127.0.0.1:${port}`

const configuration = (directory: DevDirectory, port: number, secrets: Secrets): string => {
  const users = serviceNames.map((service) => ({ nkey: publicKeyOf(secrets.natsSeeds[service]), permissions: permissionsOf(service) }))
  const operator = { user: operatorUser, password: secrets.natsPassword }
  return [
    `listen: "127.0.0.1:${port}"`,
    `server_name: "sandbox"`,
    `max_payload: 2MB`,
    `jetstream { store_dir: ${JSON.stringify(directory.nats)}, sync_interval: always, max_mem: 2GB, max_file: 64GB }`,
    `authorization { users: ${JSON.stringify([operator, ...users], null, 2)} }`
  ].join("\n")
}

/** The first line a server sends is `INFO {…}`. */
const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1")
    const end = (serves: boolean) => {
      socket.destroy()
      resolve(serves)
    }
    socket.once("data", (data: Buffer) => end(data.toString().startsWith("INFO ")))
    socket.once("error", () => end(false))
    socket.setTimeout(1_000, () => end(false))
  })

export const natsPlan = (options: {
  readonly program: string
  readonly directory: DevDirectory
  readonly port: number
  readonly secrets: Secrets
  readonly log: string
}): ProcessPlan => {
  const file = join(options.directory.root, "nats.conf")
  writeWhole(file, configuration(options.directory, options.port, options.secrets))
  return {
    name: "nats",
    records: ["nats"],
    command: options.program,
    arguments: ["-c", file],
    environment: { PATH: process.env["PATH"] },
    log: options.log,
    stopSignal: "SIGTERM",
    readyWithinSeconds: 30,
    ready: async (signal) => {
      while (!signal.aborted && !(await answers(options.port))) await sleep(30)
    }
  }
}
