/** `./dev logs` in a pipe ends by itself, and shows one service's lines of a log that all share. */
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, expect, it } from "vitest"

const folder = mkdtempSync(join(tmpdir(), "cd-logs-"))
afterAll(() => rmSync(folder, { recursive: true }))

const logs = (...names: ReadonlyArray<string>): string =>
  execFileSync(process.execPath, [join(import.meta.dirname, "cli.ts"), "logs", ...names], {
    env: { ...process.env, CD_DEV_DIR: folder },
    encoding: "utf8"
  })

it("ends after what is there", () => {
  mkdirSync(join(folder, "logs"))
  writeFileSync(join(folder, "logs", "services.log"), `{"service":"gateway","message":"a"}\n{"service":"router","message":"b"}\n`)
  writeFileSync(join(folder, "logs", "nats.log"), "ready\n")
  expect(logs("gateway")).toBe(`{"service":"gateway","message":"a"}\n`)
  expect(logs("nats")).toBe("ready\n")
  expect(logs()).toContain(`"message":"b"`)
})
