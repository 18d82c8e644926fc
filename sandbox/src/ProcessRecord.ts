/**
 * Which processes belong to a sandbox, so that they can be ended later by exactly these pids.
 *
 * Owns: `processes.json` and ending what stands in it. Leaves to `Supervisor.ts`: ending them in good order while it lives.
 * Built against: a pid that meanwhile belongs to somebody else's program (the start time is recorded too), and a supervisor that was
 * killed and left its children behind.
 */
import { execFileSync } from "node:child_process"
import { readFileSync, rmSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import { type DevDirectory, readJson, writeJson } from "./DevDirectory.ts"

export interface RecordedProcess {
  readonly name: string
  readonly pid: number
  /** When the system says it started: with the pid, names one process for ever. */
  readonly birth: string
}

export interface ProcessRecord {
  readonly supervisor: RecordedProcess
  readonly split: boolean
  readonly processes: ReadonlyArray<RecordedProcess>
}

/** Undefined when there is no such process (a zombie counts as none). */
export const birthOf = (pid: number): string | undefined => {
  try {
    if (process.platform === "linux") {
      const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
        .replace(/^.*\) /s, "")
        .split(" ")
      return fields[0] === "Z" ? undefined : fields[19]
    }
    return execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8" }).trim() || undefined
  } catch {
    return undefined
  }
}

export const recordOf = (name: string, pid: number): RecordedProcess => ({ name, pid, birth: birthOf(pid) ?? "" })

export const isAlive = (process: RecordedProcess): boolean => process.birth !== "" && birthOf(process.pid) === process.birth

export const readRecord = (directory: DevDirectory): ProcessRecord | undefined => readJson<ProcessRecord>(directory.processes)
export const writeRecord = (directory: DevDirectory, record: ProcessRecord): void => writeJson(directory.processes, record)

const endAll = async (processes: ReadonlyArray<RecordedProcess>, signal: NodeJS.Signals, withinMillis: number): Promise<void> => {
  for (const one of processes.filter(isAlive)) process.kill(one.pid, signal)
  const limit = Date.now() + withinMillis
  while (Date.now() < limit && processes.some(isAlive)) await sleep(50)
}

/** Ends what a killed supervisor left behind; the record and the state file go. */
export const endLeftovers = async (directory: DevDirectory): Promise<void> => {
  const record = readRecord(directory)
  if (record !== undefined) {
    const left = record.processes.filter((one) => one.name !== "postgres")
    await endAll(left, "SIGTERM", 8_000)
    await endAll(left, "SIGKILL", 2_000)
    // Postgres last, and gently: SIGINT is its fast shutdown, SIGTERM would wait for every client.
    const postgres = record.processes.filter((one) => one.name === "postgres")
    await endAll(postgres, "SIGINT", 20_000)
    await endAll(postgres, "SIGQUIT", 5_000)
  }
  rmSync(directory.processes, { force: true })
  rmSync(directory.state, { force: true })
}

/** Asks the supervisor to end everything; false when none was running. */
export const endSandbox = async (directory: DevDirectory): Promise<boolean> => {
  const record = readRecord(directory)
  const running = record !== undefined && (isAlive(record.supervisor) || record.processes.some(isAlive))
  if (record !== undefined && isAlive(record.supervisor)) await endAll([record.supervisor], "SIGTERM", 45_000)
  if (record !== undefined && isAlive(record.supervisor)) await endAll([record.supervisor], "SIGKILL", 2_000)
  await endLeftovers(directory)
  return running
}
