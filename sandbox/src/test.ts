/**
 * `./dev test`: every check and test, in the order in which they fail fastest, ending with one line `N passed, N failed`.
 *
 * Owns: the steps and the sum. Leaves to vitest.config.ts: which files belong to which project. A check counts as one; vitest's tests are
 * counted by its own report. Name steps to run those alone: `./dev test unit e2e`.
 */
import { spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Refusal, repositoryRoot } from "./DevDirectory.ts"
import { findProgram, natsServer, pebbleServer, testDnsServer } from "./findProgram.ts"
import { bold, green, red, say, seconds } from "./progress.ts"
import { ensureTestServers } from "./testServers.ts"

interface Count {
  readonly passed: number
  readonly failed: number
}

const run = (command: string, args: ReadonlyArray<string>): Promise<number> =>
  new Promise((resolve) => {
    const child = spawn(command, args, { cwd: repositoryRoot, stdio: ["ignore", "inherit", "inherit"] })
    child.once("error", (error) => {
      say(String(error))
      resolve(1)
    })
    child.once("exit", (code) => resolve(code ?? 1))
  })

const check =
  (command: string, ...args: ReadonlyArray<string>) =>
  async (): Promise<Count> => {
    const failed = (await run(join(repositoryRoot, "node_modules/.bin", command), args)) === 0 ? 0 : 1
    return { passed: 1 - failed, failed }
  }

interface Report {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numFailedTestSuites: number
  readonly success: boolean
}

const vitest = (project: string) => async (): Promise<Count> => {
  const folder = mkdtempSync(join(tmpdir(), "connect-domain-report-"))
  const file = join(folder, "report.json")
  try {
    const reporters = ["--reporter=dot", "--reporter=json", `--outputFile.json=${file}`]
    const code = await run(join(repositoryRoot, "node_modules/.bin/vitest"), ["run", "--project", project, ...reporters])
    const report = JSON.parse(readFileSync(file, "utf8")) as Report
    // A file that can't be loaded, or an error outside any test, has no failed test of its own.
    return { passed: report.numPassedTests, failed: Math.max(report.numFailedTests, report.success && code === 0 ? 0 : 1) }
  } catch (error) {
    say(String(error))
    return { passed: 0, failed: 1 }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const steps: Readonly<Record<string, () => Promise<Count>>> = {
  lint: check("biome", "ci", ".", ...(process.stdout.isTTY ? [] : ["--colors=off"])),
  architecture: check("node", "sandbox/src/checkArchitecture.ts"),
  types: check("tsc", "-p", "."),
  unit: vitest("unit"),
  integration: vitest("integration"),
  e2e: vitest("e2e")
}

/** Tests start servers of their own; what is missing is fetched before, so that it is not fetched by several at once. */
const fetchServers = async (chosen: ReadonlyArray<string>): Promise<void> => {
  if (!["unit", "integration", "e2e"].some((step) => chosen.includes(step))) return
  const report = (line: string) => say(`  ${line}`)
  for (const program of [natsServer, pebbleServer, testDnsServer]) {
    const found = await findProgram(program, report)
    if (found === undefined) report(`${program.name} is missing; tests that need it will fail. ${program.advice}`)
  }
  if (chosen.includes("integration")) await ensureTestServers(report)
}

export const test = async (wanted: ReadonlyArray<string>): Promise<number> => {
  const unknown = wanted.filter((name) => !Object.hasOwn(steps, name))
  if (unknown.length > 0) throw new Refusal(`There is no step '${unknown[0]}'. Known: ${Object.keys(steps).join(", ")}.`)
  const chosen = wanted.length === 0 ? Object.keys(steps) : wanted
  await fetchServers(chosen)
  const began = Date.now()
  const lines: Array<string> = []
  let [passed, failed] = [0, 0]
  for (const name of chosen) {
    say(`\n${bold(name)}`)
    const at = Date.now()
    const count = await steps[name]!()
    passed += count.passed
    failed += count.failed
    const mark = count.failed === 0 ? green("✓") : red("✗")
    lines.push(
      `  ${mark} ${name.padEnd(14)} ${String(count.passed).padStart(5)} passed ${String(count.failed).padStart(4)} failed  ${seconds(Date.now() - at)}`
    )
  }
  say(`\n${lines.join("\n")}\n  all after ${seconds(Date.now() - began)}\n`)
  console.log(`${passed} passed, ${failed} failed`)
  return failed === 0 ? 0 : 1
}
