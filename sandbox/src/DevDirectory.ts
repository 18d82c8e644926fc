/**
 * Where one sandbox keeps what is its own: secrets, data, logs, the state file.
 *
 * Owns: the layout below `.dev` (or `CD_DEV_DIR`, so that several sandboxes can run at once) and files written at once or not at all.
 * Leaves to each file's module: what stands in it.
 * Built against: a half-written state file that another program reads, and secrets that other users of the machine can read.
 */
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { fileURLToPath } from "node:url"

export const repositoryRoot = resolve(fileURLToPath(new URL("../..", import.meta.url)))

export interface DevDirectory {
  readonly root: string
  readonly state: string
  readonly processes: string
  readonly ports: string
  readonly secrets: string
  readonly tenants: string
  readonly roots: string
  readonly logs: string
  readonly nats: string
  readonly pebble: string
  readonly postgres: string
  readonly dns: string
  readonly edge: string
}

/** Directory of servers' programs: one for the checkout, shared by all its sandboxes. */
export const programsDirectory = join(repositoryRoot, ".dev", "bin")

/** `CD_DEV_DIR` is relative to where `./dev` was called. */
export const devDirectory = (env: NodeJS.ProcessEnv = process.env): DevDirectory => {
  const chosen = env.CD_DEV_DIR
  const root = chosen ? resolve(env.CD_CALLED_FROM ?? process.cwd(), chosen) : join(repositoryRoot, ".dev")
  const at = (name: string) => join(root, name)
  return {
    root,
    state: at("state.json"),
    processes: at("processes.json"),
    ports: at("ports.json"),
    secrets: at("secrets.json"),
    tenants: at("tenants.json"),
    roots: at("acme-roots.pem"),
    logs: at("logs"),
    nats: at("nats"),
    pebble: at("pebble"),
    postgres: at("postgres"),
    dns: at("dns"),
    edge: at("edge")
  }
}

/** 0711: a database server of another user can reach its own folder below, nobody can list. */
export const createDevDirectory = (directory: DevDirectory): void => {
  mkdirSync(directory.root, { recursive: true })
  chmodSync(directory.root, 0o711)
  for (const folder of [directory.logs, directory.nats, directory.pebble, directory.dns, directory.edge]) {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
  }
}

/** Mode 0600; readers see the old content or the new one, never a part. */
export const writeWhole = (path: string, content: string): void => {
  const draft = `${path}.${process.pid}.draft`
  writeFileSync(draft, content, { mode: 0o600 })
  chmodSync(draft, 0o600)
  renameSync(draft, path)
}

export const writeJson = (path: string, value: unknown): void => writeWhole(path, `${JSON.stringify(value, null, 2)}\n`)

/** Undefined when the file is absent. */
export const readJson = <A>(path: string): A | undefined => {
  let text: string
  try {
    text = readFileSync(path, "utf8")
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined
    throw error
  }
  try {
    return JSON.parse(text) as A
  } catch {
    throw new Refusal(`${path} is damaged. Remove it, or start afresh with './dev reset'.`)
  }
}

/** A failure whose sentence tells the user what to do: printed without a stack trace, exit code 1. */
export class Refusal extends Error {
  override readonly name = "Refusal"
}
