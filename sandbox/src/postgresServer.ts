/**
 * The sandbox's Postgres: the npm package's programs, one data folder, password authentication on loopback.
 *
 * Owns: initialising the folder once, the plan to run it. Leaves to libs/database: programs and the user they run as, migrations.
 * Built against: a checkout below a folder that Postgres's user can't enter (root's home), where the data goes to /var/tmp instead.
 */
import { type ExecFileOptions, execFile } from "node:child_process"
import { createHash } from "node:crypto"
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { connect } from "node:net"
import { dirname, join, relative } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { owner, programs } from "@connect-domain/database/testing/postgresFolder.ts"
import { type DevDirectory, Refusal } from "./DevDirectory.ts"
import type { ProcessPlan } from "./ManagedProcess.ts"

const database = "connect_domain"

export const databaseUrl = (port: number, password: string): string => `postgres://postgres:${password}@127.0.0.1:${port}/${database}`

/** Whether anybody may enter every folder above this one. */
const reachable = (path: string): boolean => (statSync(path).mode & 0o001) !== 0 && (dirname(path) === path || reachable(dirname(path)))

export const postgresFolder = (directory: DevDirectory): string =>
  process.getuid?.() !== 0 || reachable(directory.root)
    ? directory.postgres
    : join("/var/tmp", `connect-domain-postgres-${createHash("sha256").update(directory.root).digest("hex").slice(0, 12)}`)

/** An npm that ran no install scripts leaves the package without its symbolic links; they are listed in a file of the package. */
const completePackage = (): void => {
  const native = dirname(dirname(programs().postgres))
  const list = join(native, "pg-symlinks.json")
  if (!existsSync(list)) return
  for (const { source, target } of JSON.parse(readFileSync(list, "utf8")) as Array<{ source: string; target: string }>) {
    const at = join(native, relative("native", target))
    if (!existsSync(at)) symlinkSync(relative(dirname(target), source), at)
  }
}

const run = (command: string, args: ReadonlyArray<string>, options: ExecFileOptions, input: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const child = execFile(command, [...args], options, (error, _, stderr) =>
      error === null ? resolve() : reject(new Error(String(stderr) || error.message))
    )
    child.stdin?.end(input)
  })

const initialise = async (folder: string, password: string): Promise<void> => {
  const identity = owner()
  const passwordFile = `${folder}.password`
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 })
  if (identity.uid !== undefined) {
    for (const path of [folder, passwordFile]) chownSync(path, identity.uid, identity.gid ?? identity.uid)
  }
  chmodSync(folder, 0o700)
  const options = { ...identity, cwd: folder }
  try {
    const flags = ["--auth=scram-sha-256", "--username=postgres", "--encoding=UTF8", "--locale=C", `--pwfile=${passwordFile}`]
    await run(programs().initdb, [`--pgdata=${folder}`, ...flags], options, "")
    await run(programs().postgres, ["--single", "-D", folder, "postgres"], options, `create database ${database}\n`)
    writeFileSync(join(folder, "connect-domain-ready"), "")
  } catch (error) {
    throw new Refusal(`Postgres could not be initialised in ${folder}:\n${(error as Error).message.trim()}`)
  } finally {
    rmSync(passwordFile, { force: true })
  }
}

/** The answer to a start-up packet: `R` asks for the password (it serves), `E` says that it is still starting. */
const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const fields = Buffer.from(`user\0postgres\0database\0${database}\0\0`)
    const packet = Buffer.alloc(8 + fields.length)
    packet.writeInt32BE(packet.length, 0)
    packet.writeInt32BE(0x30000, 4)
    fields.copy(packet, 8)
    const socket = connect(port, "127.0.0.1", () => socket.write(packet))
    const end = (serves: boolean) => {
      socket.destroy()
      resolve(serves)
    }
    socket.once("data", (data: Buffer) => end(data[0] === 0x52))
    socket.once("error", () => end(false))
    socket.once("close", () => end(false))
    socket.setTimeout(1_000, () => end(false))
  })

export const postgresPlan = async (options: {
  readonly directory: DevDirectory
  readonly port: number
  readonly password: string
  readonly log: string
  readonly report: (line: string) => void
}): Promise<ProcessPlan> => {
  const folder = postgresFolder(options.directory)
  completePackage()
  if (!existsSync(join(folder, "connect-domain-ready"))) {
    options.report("Creating the database (once) ...")
    await initialise(folder, options.password)
  }
  const settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "shared_buffers=64MB", "max_connections=200"]
  return {
    name: "postgres",
    records: ["postgres"],
    command: programs().postgres,
    arguments: ["-D", folder, "-p", String(options.port), ...settings.flatMap((setting) => ["-c", setting])],
    environment: { PATH: process.env.PATH, LC_MESSAGES: "C" },
    log: options.log,
    ...identityOf(),
    stopSignal: "SIGINT",
    readyWithinSeconds: 60,
    ready: async (signal) => {
      while (!signal.aborted && !(await answers(options.port))) await sleep(30)
    }
  }
}

const identityOf = (): { readonly identity?: { readonly uid: number; readonly gid: number } } => {
  const { uid, gid } = owner()
  return uid === undefined ? {} : { identity: { uid, gid: gid ?? uid } }
}
