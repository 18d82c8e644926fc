/**
 * Starts one sandbox for all stories, each service a process of its own, on free ports and in a folder of its own; ends it afterwards.
 *
 * Owns: that sandbox's life. Leaves to `Stack.ts`: talking to it. On failure its logs stay, and their place is printed.
 */
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import type { TestProject } from "vitest/node"

declare module "vitest" {
  interface ProvidedContext {
    readonly sandboxFolder: string
  }
}

const root = resolve(import.meta.dirname, "..")

const dev = (folder: string, ...args: ReadonlyArray<string>): Promise<void> =>
  new Promise((fulfil, reject) => {
    const env = { ...process.env, CD_DEV_DIR: folder, CD_PORTS: "auto", CD_ARI_POLL_SECONDS: "1" }
    const child = spawn(join(root, "dev"), args, { env, stdio: ["ignore", "inherit", "inherit"] })
    child.once("error", reject)
    child.once("exit", (code) =>
      code === 0 ? fulfil() : reject(new Error(`./dev ${args[0]} ended with ${code}; logs are in ${folder}/logs`))
    )
  })

export default async (project: TestProject): Promise<() => Promise<void>> => {
  const folder = mkdtempSync(join(tmpdir(), "connect-domain-e2e-"))
  await dev(folder, "up", "--detach", "--split", "--no-demo")
  project.provide("sandboxFolder", folder)
  let failed = false
  project.onTestsRerun(() => undefined)
  process.on("exit", (code) => {
    failed = code !== 0
  })
  return async () => {
    await dev(folder, "down")
    const ended = project.vitest.state.getCountOfFailedTests() > 0 || failed
    if (ended) console.error(`The sandbox's logs are in ${folder}/logs`)
    else rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
}
