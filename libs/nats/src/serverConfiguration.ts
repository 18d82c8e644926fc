/**
 * The text of a nats-server.conf: JetStream with an fsync before every acknowledgement, one user per service, nothing else open.
 *
 * Owns: the file's form. Leaves to `permissions.ts`: who may do what; to deploy/: where it lies and which keys it names.
 * No user without a key, no WebSocket, MQTT or leaf-node listeners; monitoring on loopback only, and only when asked for.
 */
import { type Sender, type ServiceName, serviceNames } from "@connect-domain/messages/definition.ts"
import { nkeys } from "@nats-io/transport-node"
import { inboxPrefix } from "./Nats.ts"
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
  /** Absent: a server by itself. */
  readonly cluster?: ClusterMember
}

/** One of several servers on this machine that keep copies of each other's streams. */
export interface ClusterMember {
  readonly serverName: string
  /** Where it listens to the others; and where all of them do. */
  readonly port: number
  readonly routes: ReadonlyArray<number>
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
    `server_name: ${options.cluster?.serverName ?? "connect-domain"}`,
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
    ...(options.cluster === undefined ? [] : clusterBlock(options.cluster)),
    ...(options.users.length === 0 ? [] : [authorization(options.users)])
  ]
  return `${lines.join("\n")}\n`
}

const clusterBlock = ({ port, routes }: ClusterMember): ReadonlyArray<string> => [
  "cluster {",
  "  name: connect-domain",
  `  listen: ${quote(`127.0.0.1:${port}`)}`,
  `  routes: [${routes.map((each) => quote(`nats-route://127.0.0.1:${each}`)).join(", ")}]`,
  "}"
]

/**
 * Users and accounts alone, for a configuration that an operator writes himself.
 *
 * The edge has an account of its own. Permissions alone would not hold it: a request may name any subject for its reply, so that a user
 * who can write one bucket and read it back could let the server "reply" into another one. Replies into an account stay in that account.
 */
export const authorization = (users: ReadonlyArray<NatsUser>): string => {
  const edge = users.filter(({ name }) => name === edgeService)
  const control = users.filter(({ name }) => name !== edgeService)
  const { services, feeds } = crossing(edgeService)
  return [
    "accounts {",
    "  CONTROL {",
    "    jetstream: enabled",
    `    users: [\n${control.map((user) => indent(userBlock(user), 6)).join("\n")}\n    ]`,
    "    exports: [",
    ...services.map((subject) => `      { service: ${quote(subject)}, response_type: ${responseType(subject)}, accounts: [EDGE] }`),
    ...feeds.map((subject) => `      { stream: ${quote(subject)}, accounts: [EDGE] }`),
    "    ]",
    "  }",
    "  EDGE {",
    `    users: [\n${edge.map((user) => indent(userBlock(user), 6)).join("\n")}\n    ]`,
    "    imports: [",
    ...services.map((subject) => `      { service: { account: CONTROL, subject: ${quote(subject)} } }`),
    ...feeds.map((subject) => `      { stream: { account: CONTROL, subject: ${quote(subject)} } }`),
    "    ]",
    "  }",
    "}"
  ].join("\n")
}

const edgeService = "router" satisfies ServiceName

/** What the edge may ask for or send to the other account, and what it may listen to there. */
const crossing = (service: ServiceName) => {
  const { publish, subscribe } = permissionsOf(service)
  return { services: publish, feeds: subscribe.filter((subject) => !subject.startsWith(inboxPrefix(service))) }
}

/** A batched direct get is answered by many messages. */
const responseType = (subject: string): string => (/^\$JS\.API\.DIRECT\.GET\.[^.]+$/.test(subject) ? "stream" : "singleton")

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
