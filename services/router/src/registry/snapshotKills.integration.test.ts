/** E16: what stands on the disk when the process that writes it is killed at any instruction, or the disk is full in the middle of a change. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { cpSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { entryAt, isReleased, nameCount } from "../testing/snapshotWriter.ts"
import { Registry } from "./Registry.ts"
import { Snapshot } from "./Snapshot.ts"

let folder: string
let writer: ChildProcess
let said = ""
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "snapshot-kills-"))
})
afterEach(() => {
  writer.kill("SIGKILL")
  rmSync(folder, { recursive: true })
})

const program = join(import.meta.dirname, "../testing/snapshotWriter.ts")

const start = (command: string, args: ReadonlyArray<string>): void => {
  said = ""
  writer = spawn(command, [...args], { stdio: ["ignore", "pipe", "inherit"] })
  writer.stdout!.on("data", (piece: Buffer) => {
    said = (said + piece.toString()).slice(-4096)
  })
}
const until = async (what: () => boolean) => {
  while (!what()) {
    if (writer.exitCode !== null) throw new Error(`the writer ended with ${writer.exitCode}`)
    await new Promise((done) => setTimeout(done, 3))
  }
}
const kill = async () => {
  const gone = new Promise((resolve) => writer.once("exit", resolve))
  writer.kill("SIGKILL")
  await gone
}
const journalBytes = () => {
  const journals = readdirSync(folder).filter((name) => name.startsWith("journal"))
  return journals.reduce((sum, name) => sum + (statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0), 0)
}

/**
 * What a restart would find now, read from a copy: a folder belongs to one process. Gives back the version up to which every name is at least as it was
 * then; fails when a name is older than `atLeast` says.
 */
const judge = async (atLeast: number): Promise<number> => {
  const registry = new Registry()
  const copy = `${folder}-copy`
  cpSync(folder, copy, { recursive: true })
  const snapshot = new Snapshot(copy, registry)
  const { problems } = await snapshot.load()
  await snapshot.close()
  rmSync(copy, { recursive: true })
  expect(problems.filter((problem) => problem.includes("refused"))).toEqual([])
  let reached = Number.POSITIVE_INFINITY
  for (let at = 0; at < nameCount; at++) {
    const entry = registry.holdings.name(`n${at}.test`)
    const version = entry?.version ?? -1
    const due = atLeast - ((((atLeast - at) % nameCount) + nameCount) % nameCount)
    expect(version, `n${at}.test`).toBeGreaterThanOrEqual(due)
    if (entry !== undefined) {
      expect(entry).toEqual(entryAt(version))
      expect(registry.find(entry.hostname) === undefined).toBe(isReleased(version))
    }
    reached = Math.min(reached, version + nameCount - 1)
  }
  return reached
}

describe("E16: the disk's view of the registry", () => {
  it("E16: no kill -9 takes back what was written, revives a released name or damages the base", async () => {
    let reached = -1
    for (let round = 0; round < 15; round++) {
      const before = journalBytes()
      start(process.execPath, [program, folder, String(reached + 1)])
      await until(() => said.includes("begins"))
      // Some rounds end while the first base is written, some later.
      if (round % 3 !== 0) await until(() => said.includes("well") && journalBytes() !== before)
      await new Promise((done) => setTimeout(done, (round * 37) % 160))
      await kill()
      const now = await judge(reached)
      expect(now).toBeGreaterThanOrEqual(reached)
      reached = now
    }
    expect(reached).toBeGreaterThan(1000)
    expect(readdirSync(folder)).toContain("base.bin")
  }, 120_000)

  it("E16: a disk that fills in the middle of a change loses nothing once it has room again", async () => {
    // A limit on the size of files stands for the full disk: writes stop in the middle of a change, whatever the file system.
    start("sh", ["-c", 'trap "" XFSZ; ulimit -S -f 40; exec "$0" "$@"', process.execPath, program, folder, "0"])
    await until(() => said.includes("EFBIG"))
    const stopped = await judge(0)
    await new Promise((done) => setTimeout(done, 300))
    expect(await judge(stopped)).toBe(stopped)
    execFileSync("prlimit", ["--pid", String(writer.pid), "--fsize=unlimited"])
    said = ""
    await until(() => said.includes("well"))
    await kill()
    expect(await judge(stopped + 1)).toBeGreaterThan(stopped)
  }, 60_000)
})
