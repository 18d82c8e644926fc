import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { ManagedProcess, type ProcessPlan } from "./ManagedProcess.ts"
import { birthOf, isAlive, recordOf } from "./ProcessRecord.ts"

const folder = mkdtempSync(join(tmpdir(), "connect-domain-managed-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const plan = (name: string, code: string, readyWithinSeconds = 20): ProcessPlan => {
  const log = join(folder, `${name}.log`)
  return {
    name,
    records: [name],
    command: process.execPath,
    arguments: ["-e", code],
    environment: {},
    log,
    stopSignal: "SIGTERM",
    readyWithinSeconds,
    ready: async (signal) => {
      while (!signal.aborted && !readFileSync(log, "utf8").includes("ready")) await sleep(10)
    }
  }
}

const until = async (check: () => boolean): Promise<void> => {
  while (!check()) await sleep(10)
}

describe("ManagedProcess", () => {
  it("starts a killed process again, tells of the new pid, and ends it on request", async () => {
    const pids: Array<number | undefined> = []
    const managed: ManagedProcess = new ManagedProcess(plan("server", 'console.log("ready"); setInterval(() => {}, 1000)'), () =>
      pids.push(managed.pid)
    )
    await managed.start()
    const first = managed.pid!
    process.kill(first, "SIGKILL")
    await until(() => managed.pid !== undefined && managed.pid !== first)
    assert.deepStrictEqual(pids, [first, managed.pid])
    const record = recordOf("server", managed.pid!)
    assert.isTrue(isAlive(record))
    await managed.stop(5)
    assert.isFalse(isAlive(record))
    assert.strictEqual(managed.pid, undefined)
  })

  it("refuses with the process's last words when it dies again and again", async () => {
    const managed = new ManagedProcess(plan("broken", 'console.log("CD_WRONG must be a number"); process.exit(1)'), () => {})
    const error = await managed.start().then(
      () => undefined,
      (reason: Error) => reason
    )
    await managed.stop(5)
    assert.include(error?.message, "broken ends right after its start")
    assert.include(error?.message, "CD_WRONG must be a number")
  })

  it("knows a pid's first owner from a later one", () => {
    assert.isTrue(isAlive(recordOf("self", process.pid)))
    assert.isFalse(isAlive({ name: "self", pid: process.pid, birth: `${birthOf(process.pid)}0` }))
    assert.isFalse(isAlive({ name: "nobody", pid: process.pid, birth: "" }))
  })
})
