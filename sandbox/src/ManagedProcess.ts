/**
 * One server or service as a child process: started, watched, started again when it dies, ended on request.
 *
 * Owns: the process's life and its log file. Leaves to `Supervisor.ts`: order, the list of pids, the state file.
 * Built against: a service killed at any moment (it runs again within 2 s) and a server that can't start at all (it is tried again with
 * growing pauses, never in a hot loop).
 */
import { type ChildProcess, spawn } from "node:child_process"
import { closeSync, openSync, readFileSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import { Refusal } from "./DevDirectory.ts"

export interface ProcessPlan {
  readonly name: string
  /** Names under which its pid is recorded: one process may hold all services. */
  readonly records: ReadonlyArray<string>
  readonly command: string
  readonly arguments: ReadonlyArray<string>
  readonly environment: NodeJS.ProcessEnv
  readonly log: string
  readonly identity?: { readonly uid: number; readonly gid: number }
  readonly stopSignal: "SIGTERM" | "SIGINT"
  /** Resolves once it serves; rejects on no account other than `signal`. */
  readonly ready: (signal: AbortSignal) => Promise<void>
  readonly readyWithinSeconds: number
}

/** Pauses before starting again, in milliseconds; all but the first apply to a process that died soon after its start. */
const pauses = [100, 300, 700, 1_200, 1_500]
const soonMillis = 3_000

const lastLines = (file: string): string =>
  readFileSync(file, "utf8")
    .slice(-4_000)
    .trimEnd()
    .split("\n")
    .slice(-12)
    .map((line) => `  ${line}`)
    .join("\n")

export class ManagedProcess {
  readonly plan: ProcessPlan
  readonly #changed: () => void
  #child: ChildProcess | undefined
  #ended = Promise.resolve()
  #stopping = false
  #quickDeaths = 0
  #served = false
  /** Epoch milliseconds of the last start. */
  startedAt = 0

  constructor(plan: ProcessPlan, changed: () => void) {
    this.plan = plan
    this.#changed = changed
  }

  get pid(): number | undefined {
    return this.#child?.exitCode === null && this.#child.signalCode === null ? this.#child.pid : undefined
  }

  /** Starts it and waits until it serves. */
  async start(): Promise<void> {
    this.#spawn()
    await this.#untilReady()
  }

  #spawn(): void {
    const { plan } = this
    const log = openSync(plan.log, "a", 0o600)
    this.startedAt = Date.now()
    const child = spawn(plan.command, [...plan.arguments], {
      env: plan.environment,
      stdio: ["ignore", log, log],
      ...(plan.identity ?? {})
    })
    closeSync(log)
    this.#child = child
    this.#ended = new Promise((resolve) => {
      const end = () => {
        resolve()
        this.#onEnd(child)
      }
      child.once("exit", end)
      child.once("error", end)
    })
    this.#changed()
  }

  #onEnd(child: ChildProcess): void {
    if (this.#stopping || child !== this.#child) return
    this.#quickDeaths = !this.#served || Date.now() - this.startedAt < soonMillis ? this.#quickDeaths + 1 : 0
    const pause = pauses[Math.min(this.#quickDeaths, pauses.length - 1)]!
    void sleep(pause).then(async () => {
      if (this.#stopping || child !== this.#child) return
      this.#spawn()
      await this.#untilReady().catch(() => undefined)
    })
  }

  async #untilReady(): Promise<void> {
    const { plan } = this
    const limit = AbortSignal.timeout(plan.readyWithinSeconds * 1_000)
    const done = new AbortController()
    const timedOut = new Promise<never>((_, reject) => {
      limit.addEventListener("abort", () => reject(this.#refusal(`did not become ready within ${plan.readyWithinSeconds} s`)))
    })
    const dying = (async () => {
      while (!done.signal.aborted) {
        await sleep(100, undefined, { signal: done.signal }).catch(() => undefined)
        if (this.#quickDeaths >= 3) throw this.#refusal("ends right after its start, again and again")
      }
    })()
    try {
      await Promise.race([plan.ready(AbortSignal.any([limit, done.signal])), timedOut, dying])
      this.#served = true
    } finally {
      done.abort()
      dying.catch(() => undefined)
      timedOut.catch(() => undefined)
    }
  }

  #refusal(what: string): Refusal {
    const { name, log } = this.plan
    return new Refusal(`${name} ${what}. The end of ${log}:\n${lastLines(log)}`)
  }

  /** Asks it to end, insists after `graceSeconds`. Safe to call twice. */
  async stop(graceSeconds: number): Promise<void> {
    this.#stopping = true
    const child = this.#child
    if (child === undefined || this.pid === undefined) return
    child.kill(this.plan.stopSignal)
    const insist = setTimeout(() => child.kill("SIGKILL"), graceSeconds * 1_000)
    await this.#ended
    clearTimeout(insist)
  }
}
