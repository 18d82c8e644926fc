/**
 * A real nats-server for tests and for the sandbox: on a free port, in a folder of its own, stopped (and its folder removed) with its scope.
 *
 * Owns: starting, stopping, killing and wiping the server. Leaves to `serverConfiguration.ts`: what production's configuration looks like.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import { freePort } from "@connect-domain/domain/testing/freePorts.ts"
import { ConfigProvider, Data, Effect, type Layer, type Scope } from "effect"
import { type ServerOptions, serverConfiguration } from "../serverConfiguration.ts"

export class NatsServerError extends Data.TaggedError("NatsServerError")<{ readonly message: string }> {}

export interface NatsServer {
  readonly url: string
  readonly port: number
  readonly pid: () => number | undefined
  /** `SIGTERM` shuts it down, `SIGKILL` is a crash. Its folder and port stay. */
  readonly stop: (signal?: "SIGTERM" | "SIGKILL") => Effect.Effect<void>
  /** Starts it again after `stop`. */
  readonly start: Effect.Effect<void, NatsServerError>
  /** Deletes everything that JetStream stored; only while it is stopped. */
  readonly wipe: Effect.Effect<void>
  /** Copies what JetStream stored, for `restore`; both only while it is stopped. */
  readonly keep: Effect.Effect<void>
  /** Goes back to the copy: everything since is lost. */
  readonly restore: Effect.Effect<void>
  /** Gives tests' layers this server's address: `Layer.provide(server.config)`. */
  readonly config: Layer.Layer<never>
}

export interface NatsServerOptions extends Partial<Pick<ServerOptions, "users" | "syncAlways" | "cluster">> {
  /** Keeps JetStream's store here; absent: in a temporary folder that goes with the scope. */
  readonly folder?: string
  /** Absent: a free one. */
  readonly port?: number
}

export const startNats = (options: NatsServerOptions = {}): Effect.Effect<NatsServer, NatsServerError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.tryPromise({
      try: () => launch(options),
      catch: (cause) =>
        new NatsServerError({ message: `could not start nats-server: ${cause instanceof Error ? cause.message : String(cause)}` })
    }),
    ({ dispose }) => Effect.promise(dispose)
  ).pipe(Effect.map(({ server }) => server))

const launch = async (options: NatsServerOptions) => {
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), "connect-domain-nats-"))
  const store = join(folder, "store")
  const kept = join(folder, "kept")
  mkdirSync(store, { recursive: true })
  const port = options.port ?? (await freePort())
  let child: ChildProcess | undefined
  const start = async () => {
    child = await spawnServer(folder, {
      listen: { host: "127.0.0.1", port },
      storeFolder: store,
      users: options.users ?? [],
      syncAlways: options.syncAlways ?? false,
      maxMemoryBytes: 8 * 1024 ** 3,
      maxFileBytes: 64 * 1024 ** 3,
      ...(options.cluster === undefined ? {} : { cluster: options.cluster })
    })
  }
  const stop = async (signal: NodeJS.Signals = "SIGTERM") => {
    const running = child
    child = undefined
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return
    const exited = new Promise((resolve) => running.once("exit", resolve))
    running.kill(signal)
    await exited
  }
  const lastResort = () => void child?.kill("SIGKILL")
  process.once("exit", lastResort)
  await start()
  const url = `nats://127.0.0.1:${port}`
  const server: NatsServer = {
    url,
    port,
    pid: () => child?.pid,
    stop: (signal) => Effect.promise(() => stop(signal)),
    start: Effect.tryPromise({ try: start, catch: (cause) => new NatsServerError({ message: String(cause) }) }),
    wipe: Effect.sync(() => {
      rmSync(store, { recursive: true, force: true })
      mkdirSync(store)
    }),
    keep: Effect.sync(() => cpSync(store, kept, { recursive: true })),
    restore: Effect.sync(() => {
      rmSync(store, { recursive: true, force: true })
      cpSync(kept, store, { recursive: true })
    }),
    config: ConfigProvider.layer(ConfigProvider.fromEnvRecord({ NATS_URL: url }))
  }
  const dispose = async () => {
    process.removeListener("exit", lastResort)
    await stop(options.folder === undefined ? "SIGKILL" : "SIGTERM")
    if (options.folder === undefined) rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
  return { server, dispose }
}

/** `.dev/bin` of this checkout first, then the PATH. */
export const natsServerProgram = (): string => {
  const folders = [join(import.meta.dirname, "../../../../.dev/bin"), ...(process.env.PATH ?? "").split(delimiter)]
  const found = folders.map((folder) => join(folder, "nats-server")).find((path) => existsSync(path))
  if (found === undefined) throw new Error("nats-server is neither in .dev/bin nor on the PATH")
  return found
}

/** Resolves when the server says that it is ready. */
const spawnServer = (folder: string, options: ServerOptions) =>
  new Promise<ChildProcess>((resolve, reject) => {
    const configuration = join(folder, "nats-server.conf")
    writeFileSync(configuration, `${serverConfiguration(options)}\n`, { mode: 0o600 })
    const child = spawn(natsServerProgram(), ["-c", configuration], { stdio: ["ignore", "ignore", "pipe"] })
    let output = ""
    child.stderr.on("data", (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-4000)
      if (output.includes("Server is ready")) resolve(child)
    })
    child.once("error", reject)
    child.once("exit", (code, signal) => reject(new Error(`nats-server ended (${code ?? signal}): ${output.trim()}`)))
  })
