/**
 * The processes of a measurement, each pinned to a core, in one temporary folder.
 *
 * Owns: starting, ports, ending everything. Leaves to `subjects.ts`: which programs with which configuration.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

export const wait = (millis: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, millis))

export interface StartOptions {
  /** Besides the own. */
  readonly environment?: Readonly<Record<string, string>>
  /** The file that standard output goes to; default: none. */
  readonly output?: string
}

export class Processes {
  readonly folder = mkdtempSync(join(tmpdir(), "edge-bench-"))
  private readonly children: Array<ChildProcess> = []

  /** Returns the pid; whatever it prints to standard error is shown. */
  start(core: number, program: string, parameters: ReadonlyArray<string>, options: StartOptions = {}): number {
    const output = openSync(options.output ?? "/dev/null", "w")
    const child = spawn("taskset", ["-c", String(core), program, ...parameters], {
      stdio: ["ignore", output, "inherit"],
      env: { ...process.env, ...options.environment }
    })
    closeSync(output)
    child.on("error", () => {})
    this.children.push(child)
    return child.pid!
  }

  async end(): Promise<void> {
    const over = this.children.map((child) =>
      child.exitCode !== null || child.signalCode !== null ? undefined : new Promise((resolve) => child.once("exit", resolve))
    )
    for (const child of this.children) child.kill("SIGTERM")
    await Promise.race([Promise.all(over), wait(2000)])
    for (const child of this.children) child.kill("SIGKILL")
    rmSync(this.folder, { recursive: true, force: true })
  }
}
