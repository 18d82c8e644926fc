/** CPU time of a process, all threads, from the scheduler's accounting (Linux), in nanoseconds. */
import { readdirSync, readFileSync } from "node:fs"

export const cpuOf = (pid: number): number =>
  readdirSync(`/proc/${pid}/task`)
    .map((task) => Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8").split(" ")[0]))
    .reduce((sum, nanos) => sum + nanos, 0)

/** Children included: nginx works in a child of its master. */
export const cpuOfTree = (pid: number): number => {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number)
  return cpuOf(pid) + children.reduce((sum, child) => sum + cpuOfTree(child), 0)
}

export const residentMebibytes = (pid: number): number => {
  const line = /^VmRSS:\s+([0-9]+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))
  return Math.round(Number(line?.[1] ?? 0) / 1024)
}
