/**
 * The text of a nats-server.conf: JetStream with an fsync before every acknowledgement, one user per service, nothing else open.
 *
 * Owns: the file's form. Leaves to `permissions.ts`: who may do what; to deploy/: where it lies and which keys it names.
 * No user without a key, no WebSocket, MQTT or leaf-node listeners; monitoring on loopback only, and only when asked for.
 */
import { type Sender, serviceNames } from "@connect-domain/messages/definition.ts"
import { nkeys } from "@nats-io/transport-node"
import { operatorPermissions, type Permissions, permissionsOf } from "./permissions.ts"

export interface NatsUser {
  readonly name: Sender
  /** `U…`, the public half of the service's nkey seed. */
  readonly publicKey: string
}

export interface ServerOptions {
  readonly listen: { readonly host: string; readonly port: number }
  /** On loopback; absent: no monitoring. */
  readonly monitoringPort?: number
  readonly storeFolder: string
  /** Empty: anybody may do anything (tests only). */
  readonly users: ReadonlyArray<NatsUser>
  /** Fsync before every acknowledgement of a file stream. Default true; without it an acknowledged message can be lost with the power. */
  readonly syncAlways?: boolean
  /** Room for memory streams and for file streams, in bytes. Absent: three quarters of the machine's. */
  readonly maxMemoryBytes?: number
  readonly maxFileBytes?: number
  readonly tls?: { readonly certFile: string; readonly keyFile: string }
}

/** A seed and public key per service, and the operator's. A seed is a secret: it goes to that service alone. */
export const createUsers = (): ReadonlyArray<NatsUser & { readonly seed: string }> =>
  [...serviceNames, "operator" as const].map((name) => {
    const pair = nkeys.createUser()
    return { name, publicKey: pair.getPublicKey(), seed: new TextDecoder().decode(pair.getSeed()) }
  })

/** The public half of a seed. */
export const publicKeyOf = (seed: string): string => nkeys.fromSeed(new TextEncoder().encode(seed)).getPublicKey()

export const serverConfiguration = (options: ServerOptions): string => {
  const { host, port } = options.listen
  const lines = [
    `server_name: connect-domain`,
    `listen: ${quote(`${host}:${port}`)}`,
    ...(options.monitoringPort === undefined ? [] : [`http: ${quote(`127.0.0.1:${options.monitoringPort}`)}`]),
    "max_payload: 1MB",
    "write_deadline: 10s",
    "ping_interval: 20s",
    "jetstream {",
    `  store_dir: ${quote(options.storeFolder)}`,
    ...(options.syncAlways === false ? [] : ["  sync_interval: always"]),
    ...(options.maxMemoryBytes === undefined ? [] : [`  max_memory_store: ${options.maxMemoryBytes}`]),
    ...(options.maxFileBytes === undefined ? [] : [`  max_file_store: ${options.maxFileBytes}`]),
    "}",
    ...(options.tls === undefined
      ? []
      : ["tls {", `  cert_file: ${quote(options.tls.certFile)}`, `  key_file: ${quote(options.tls.keyFile)}`, "}"]),
    ...(options.users.length === 0 ? [] : [authorization(options.users)])
  ]
  return `${lines.join("\n")}\n`
}

/** The `authorization` block alone, for a configuration that an operator writes himself. */
export const authorization = (users: ReadonlyArray<NatsUser>): string =>
  ["authorization {", "  users: [", ...users.map((user) => indent(userBlock(user), 4)), "  ]", "}"].join("\n")

const userBlock = ({ name, publicKey }: NatsUser): string => {
  const permissions: Permissions = name === "operator" ? operatorPermissions : permissionsOf(name)
  return [
    `# ${name}`,
    "{",
    `  nkey: ${publicKey}`,
    "  permissions: {",
    `    publish: { allow: ${list(permissions.publish)} }`,
    `    subscribe: { allow: ${list(permissions.subscribe)} }`,
    ...(permissions.mayRespond ? ['    allow_responses: { max: 1, expires: "3m" }'] : []),
    "  }",
    "}"
  ].join("\n")
}

const list = (subjects: ReadonlyArray<string>): string => `[\n${subjects.map((subject) => `      ${quote(subject)}`).join("\n")}\n    ]`
const quote = (text: string): string => JSON.stringify(text)
const indent = (text: string, by: number): string => text.replace(/^/gm, " ".repeat(by))
