/**
 * Finding a server's program: a sufficient version on PATH, then the checkout's `.dev/bin`, then Debian's packages, then a sentence.
 *
 * Owns: the order and the version gates. Leaves to `debianPackage.ts`: downloading.
 * Built against: an older nats-server on PATH, whose key expiry silently does nothing.
 */
import { execFile } from "node:child_process"
import { accessSync, constants } from "node:fs"
import { delimiter, join } from "node:path"
import { promisify } from "node:util"
import { programsDirectory, Refusal } from "./DevDirectory.ts"
import { installFromDebian } from "./debianPackage.ts"

const run = promisify(execFile)

export interface Program {
  readonly name: string
  /** Debian package that holds it. */
  readonly packageName: string
  readonly minimum: readonly [number, number]
  readonly versionArguments: ReadonlyArray<string>
  readonly advice: string
}

export const natsServer: Program = {
  name: "nats-server",
  packageName: "nats-server",
  minimum: [2, 12],
  versionArguments: ["--version"],
  advice: "Install nats-server 2.12 or newer (macOS: 'brew install nats-server'; otherwise https://nats.io/download) so that it is on PATH."
}

export const pebbleServer: Program = {
  name: "pebble",
  packageName: "pebble",
  minimum: [2, 10],
  versionArguments: ["-version"],
  advice: "Install Pebble 2.10 or newer (https://github.com/letsencrypt/pebble/releases) so that it is on PATH."
}

/** Answers any name in tests of the certifier; comes with Pebble. */
export const testDnsServer: Program = { ...pebbleServer, name: "pebble-challtestsrv" }

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

const onPath = (name: string): string | undefined =>
  (process.env.PATH ?? "")
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find(isExecutable)

/** The first `major.minor` of what the program prints about itself; undefined when it prints none. */
export const versionIn = (text: string): readonly [number, number] | undefined => {
  const found = /(\d+)\.(\d+)(?:\.\d+)?/.exec(text)
  return found ? [Number(found[1]), Number(found[2])] : undefined
}

const versionOf = async (path: string, program: Program): Promise<readonly [number, number] | undefined> => {
  try {
    const { stdout, stderr } = await run(path, [...program.versionArguments], { timeout: 10_000 })
    return versionIn(stdout + stderr)
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string }
    return versionIn(`${stdout ?? ""}${stderr ?? ""}`)
  }
}

const sufficient = (version: readonly [number, number] | undefined, minimum: readonly [number, number]): boolean =>
  version !== undefined && (version[0] > minimum[0] || (version[0] === minimum[0] && version[1] >= minimum[1]))

/** Absolute path, or undefined when this machine has none and Debian's packages can't be had. */
export const findProgram = async (program: Program, report: (line: string) => void): Promise<string | undefined> => {
  const found = onPath(program.name)
  if (found !== undefined && sufficient(await versionOf(found, program), program.minimum)) return found
  const own = join(programsDirectory, program.name)
  // Nothing but this module writes there: no version to ask for.
  if (isExecutable(own)) return own
  return (await installFromDebian([natsServer.packageName, pebbleServer.packageName], report)) && isExecutable(own) ? own : undefined
}

export const requireProgram = async (program: Program, report: (line: string) => void): Promise<string> => {
  const path = await findProgram(program, report)
  if (path === undefined) throw new Refusal(`${program.name} is missing. ${program.advice}`)
  return path
}
