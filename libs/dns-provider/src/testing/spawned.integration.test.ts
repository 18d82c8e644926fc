/** Servers that tests spawn leave nothing behind, whether they start or not. */
import { existsSync, mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { freeDnsPort } from "@connect-domain/domain/testing/freePorts.ts"
import { expect, it } from "vitest"
import { findProgram, startServer } from "./spawned.ts"
import { startBind } from "./startBind.ts"

it("a server that ends at once is an error with its words, and leaves no folder", async () => {
  const folder = mkdtempSync(join(tmpdir(), "cd-spawned-"))
  const program = findProgram("named", "bind9 bind9-dnsutils")
  const started = startServer({ program, args: ["-g", "-c", join(folder, "absent.conf")], port: await freeDnsPort(), folder })
  await expect(started).rejects.toThrow(/did not start[\s\S]*absent\.conf/)
  expect(existsSync(folder)).toBe(false)
})

it("a server that is closed leaves no folder; closing twice is fine", async () => {
  const server = await startBind(["left.example"])
  expect(existsSync(server.folder)).toBe(true)
  await server.close()
  await server.close()
  expect(existsSync(server.folder)).toBe(false)
})
