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
import { type DevDirectory, writeWhole } from "./DevDirectory.ts"
import type { ProcessPlan } from "./ManagedProcess.ts"
import type { Secrets } from "./Secrets.ts"

const operatorUser = "operator"
const gibibyte = 1024 ** 3

/** For the person's own tools: may do everything. */
export const operatorNatsUrl = (port: number, secrets: Secrets): string =>
  `nats://${operatorUser}:${secrets.natsPassword}@127.0.0.1:${port}`

/** The catalogue's users, and beside them the person with a password, whom a URL alone can name. */
const configuration = async (directory: DevDirectory, port: number, secrets: Secrets): Promise<string> => {
  const { authorization, publicKeyOf, serverConfiguration } = await import("@connect-domain/nats/serverConfiguration.ts")
  const senders = [...serviceNames, "operator" as const]
  const users = senders.map((name) => ({ name, publicKey: publicKeyOf(secrets.natsSeeds[name]) }))
  const person = `    { user: ${JSON.stringify(operatorUser)}, password: ${JSON.stringify(secrets.natsPassword)} }`
  const server = serverConfiguration({
    listen: { host: "127.0.0.1", port },
    storeFolder: directory.nats,
    users: [],
    maxMemoryBytes: 2 * gibibyte,
    maxFileBytes: 64 * gibibyte
  })
  return `${server}${authorization(users).replace("  users: [", `  users: [\n${person}`)}\n`
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

export const natsPlan = async (options: {
  readonly program: string
  readonly directory: DevDirectory
  readonly port: number
  readonly secrets: Secrets
  readonly log: string
}): Promise<ProcessPlan> => {
  const file = join(options.directory.root, "nats.conf")
  writeWhole(file, await configuration(options.directory, options.port, options.secrets))
  return {
    name: "nats",
    records: ["nats"],
    command: options.program,
    arguments: ["-c", file],
    environment: { PATH: process.env.PATH },
    log: options.log,
    stopSignal: "SIGTERM",
    readyWithinSeconds: 30,
    ready: async (signal) => {
      while (!signal.aborted && !(await answers(options.port))) await sleep(30)
    }
  }
}
