/**
 * Holds a sandbox together: starts processes, keeps the list of pids and the state file true, ends everything in reverse order.
 *
 * Owns: the set of processes. Leaves to `ManagedProcess.ts`: one process's life; to `supervise.ts`: what a sandbox consists of.
 * Built against: a state file that names a process that is no more.
 */
import { rmSync } from "node:fs"
import type { DevDirectory } from "./DevDirectory.ts"
import { writeJson } from "./DevDirectory.ts"
import { ManagedProcess, type ProcessPlan } from "./ManagedProcess.ts"
import { recordOf, writeRecord } from "./ProcessRecord.ts"
import type { SandboxState } from "./StateFile.ts"

export class Supervisor {
  readonly #directory: DevDirectory
  readonly #split: boolean
  readonly #processes: Array<ManagedProcess> = []
  #state: Omit<SandboxState, "pids"> | undefined
  #stopped: Promise<void> | undefined

  constructor(directory: DevDirectory, split: boolean) {
    this.#directory = directory
    this.#split = split
    this.#record()
  }

  /** Resolves when it serves. */
  async start(plan: ProcessPlan): Promise<void> {
    const managed = new ManagedProcess(plan, () => this.#record())
    this.#processes.push(managed)
    await managed.start()
  }

  /** From now on the state file is written, and written again with each new pid. */
  publish(state: Omit<SandboxState, "pids">): void {
    this.#state = state
    this.#record()
  }

  #record(): void {
    if (this.#stopped !== undefined) return
    const alive = this.#processes.flatMap((managed) => (managed.pid === undefined ? [] : [{ plan: managed.plan, pid: managed.pid }]))
    writeRecord(this.#directory, {
      supervisor: recordOf("supervisor", process.pid),
      split: this.#split,
      processes: alive.map(({ plan, pid }) => recordOf(plan.name, pid))
    })
    if (this.#state === undefined) return
    const pids = Object.fromEntries(alive.flatMap(({ plan, pid }) => plan.records.map((name) => [name, pid])))
    writeJson(this.#directory.state, { ...this.#state, pids })
  }

  /** Services first, servers after them, the database last. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stopAll()
    return this.#stopped
  }

  async #stopAll(): Promise<void> {
    rmSync(this.#directory.state, { force: true })
    const isService = (managed: ManagedProcess) => managed.plan.name.startsWith("service:") || managed.plan.name === "services"
    const services = this.#processes.filter(isService)
    const servers = this.#processes.filter((managed) => !isService(managed))
    await Promise.all(services.map((managed) => managed.stop(8)))
    await Promise.all(servers.map((managed) => managed.stop(20)))
    rmSync(this.#directory.processes, { force: true })
  }
}
