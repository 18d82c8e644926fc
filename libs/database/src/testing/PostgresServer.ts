/**
 * A real Postgres for tests and for the sandbox: on a free port, in a folder of its own, stopped (and its folder removed) with its scope.
 *
 * Owns: starting, stopping and killing the server, and fresh databases in it. Leaves to `postgresFolder.ts`: programs, users, initdb; to
 * the caller: the schema (`migratedDatabase` runs it).
 */
import { type ChildProcess, spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import { existsSync, rmSync } from "node:fs"
import { join } from "node:path"
import { freePort } from "@connect-domain/domain/testing/freePorts.ts"
import { Data, Effect, type Scope } from "effect"
import postgres from "postgres"
import { migrateDatabase } from "../migrate.ts"
import { initialise, owner, programs, temporaryFolder } from "./postgresFolder.ts"

export class PostgresServerError extends Data.TaggedError("PostgresServerError")<{ readonly message: string; readonly cause?: unknown }> {}

export interface PostgresServer {
  readonly port: number
  readonly pid: () => number | undefined
  /** Address of the database `postgres`, as superuser. */
  readonly url: string
  /** A new, empty database; its address. */
  readonly emptyDatabase: Effect.Effect<string, PostgresServerError>
  /** A new database with every migration applied (made from a template, so the second one costs a tenth of a second); its address. */
  readonly migratedDatabase: Effect.Effect<string, PostgresServerError>
  /** Stops the server: `SIGINT` is a fast shutdown, `SIGKILL` a crash. Its folder and port stay. */
  readonly stop: (signal?: "SIGINT" | "SIGKILL" | "SIGTERM") => Effect.Effect<void>
  /** Starts it again after `stop`. */
  readonly start: Effect.Effect<void, PostgresServerError>
}

export interface PostgresServerOptions {
  /** Keeps the data here; absent: in a temporary folder that goes with the scope, without fsync. */
  readonly folder?: string
  /** Absent: a free one. */
  readonly port?: number
  /** Extra settings, `name=value`. */
  readonly settings?: ReadonlyArray<string>
}

export const startPostgres = (options: PostgresServerOptions = {}): Effect.Effect<PostgresServer, PostgresServerError, Scope.Scope> =>
  Effect.acquireRelease(Effect.tryPromise({ try: () => launch(options), catch: failed("could not start Postgres") }), ({ dispose }) =>
    Effect.promise(dispose)
  ).pipe(Effect.map(({ server }) => server))

const failed = (what: string) => (cause: unknown) =>
  new PostgresServerError({ message: `${what}: ${cause instanceof Error ? cause.message : String(cause)}`, cause })

const launch = async (options: PostgresServerOptions) => {
  const folder = options.folder ?? temporaryFolder()
  const temporary = options.folder === undefined
  if (!existsSync(join(folder, "PG_VERSION"))) initialise(folder, { fromCache: temporary })
  const settings = [...(temporary ? ["fsync=off", "full_page_writes=off"] : []), ...(options.settings ?? [])]
  const port = options.port ?? (await freePort())
  let child: ChildProcess | undefined
  const start = async () => {
    child = await spawnPatiently(folder, port, settings)
  }
  const stop = async (signal: NodeJS.Signals = "SIGINT") => {
    const running = child
    child = undefined
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return
    const exited = new Promise((resolve) => running.once("exit", resolve))
    running.kill(signal)
    await exited
  }
  const lastResort = () => void child?.kill("SIGQUIT")
  process.once("exit", lastResort)
  await start()
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`
  const server: PostgresServer = {
    port,
    url,
    pid: () => child?.pid,
    stop: (signal) => Effect.promise(() => stop(signal)),
    start: Effect.tryPromise({ try: start, catch: failed("could not start Postgres again") }),
    ...databases(url)
  }
  const dispose = async () => {
    process.removeListener("exit", lastResort)
    await stop(temporary ? "SIGQUIT" : "SIGINT")
    if (temporary) rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
  return { server, dispose }
}

const databases = (url: string) => {
  const create = async (template?: string) => {
    const name = `test_${randomUUID().replaceAll("-", "")}`
    const sql = postgres(url, { max: 1, onnotice: () => {} })
    try {
      await sql.unsafe(`create database ${name}${template === undefined ? "" : ` template ${template}`}`)
    } finally {
      await sql.end()
    }
    return { name, url: url.replace(/\/postgres$/, `/${name}`) }
  }
  let template: Promise<string> | undefined
  const migratedTemplate = async () => {
    const database = await create()
    await Effect.runPromise(migrateDatabase(database.url))
    return database.name
  }
  return {
    emptyDatabase: Effect.tryPromise({ try: async () => (await create()).url, catch: failed("could not create a database") }),
    migratedDatabase: Effect.tryPromise({
      try: async () => {
        template ??= migratedTemplate()
        return (await create(await template)).url
      },
      catch: failed("could not create a database")
    })
  }
}

/** After a crash the backends outlive their server for a moment, and hold its shared memory. */
const spawnPatiently = async (folder: string, port: number, settings: ReadonlyArray<string>, tries = 50): Promise<ChildProcess> => {
  try {
    return await spawnServer(folder, port, settings)
  } catch (error) {
    if (tries === 0 || !/still in use/.test(String(error))) throw error
    await new Promise((resolve) => setTimeout(resolve, 100))
    return spawnPatiently(folder, port, settings, tries - 1)
  }
}

/** Resolves when the server says that it accepts connections; rejects with its last lines when it ends before that. */
const spawnServer = (folder: string, port: number, settings: ReadonlyArray<string>) =>
  new Promise<ChildProcess>((resolve, reject) => {
    const all = [
      "listen_addresses=127.0.0.1",
      "unix_socket_directories=",
      "shared_buffers=64MB",
      "max_connections=200",
      "log_checkpoints=off",
      ...settings
    ]
    const arguments_ = ["-D", folder, "-p", String(port), ...all.flatMap((setting) => ["-c", setting])]
    const child = spawn(programs().postgres, arguments_, { ...owner(), cwd: folder, stdio: ["ignore", "ignore", "pipe"] })
    let output = ""
    child.stderr.on("data", (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-4000)
      if (output.includes("ready to accept connections")) resolve(child)
    })
    child.once("error", reject)
    child.once("exit", (code, signal) => reject(new Error(`postgres ended (${code ?? signal}): ${output.trim()}`)))
  })
