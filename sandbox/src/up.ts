/**
 * `./dev up`: starts the supervisor, shows its progress, runs the demo, tells what to try next.
 *
 * Owns: what the user sees. Leaves to `supervise.ts`: starting things. Attached (the default) it ends everything with Ctrl-C or when it
 * is killed; `--detach` leaves the supervisor in the background.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, mkdirSync, openSync, renameSync, statSync } from "node:fs"
import { join } from "node:path"
import { createDevDirectory, type DevDirectory, devDirectory, Refusal, readJson, repositoryRoot } from "./DevDirectory.ts"
import { demo } from "./demo.ts"
import { endLeftovers, endSandbox, isAlive, readRecord } from "./ProcessRecord.ts"
import { bold, dim, done, red, say, seconds } from "./progress.ts"
import { readState, type SandboxState } from "./StateFile.ts"
import type { Progress } from "./supervise.ts"

interface UpOptions {
  readonly detach: boolean
  readonly split: boolean
  readonly demo: boolean
}

const largeLog = 20 * 1024 * 1024

/** A log that grew large is put aside at the next start. */
const rotateLogs = (directory: DevDirectory): void => {
  mkdirSync(directory.logs, { recursive: true })
  for (const name of ["supervisor", "services", "postgres", "nats", "pebble", "router", "gateway", "lifecycle"]) {
    const file = join(directory.logs, `${name}.log`)
    if (existsSync(file) && statSync(file).size > largeLog) renameSync(file, `${file}.1`)
  }
}

const startSupervisor = (directory: DevDirectory, options: UpOptions): ChildProcess => {
  const log = openSync(join(directory.logs, "supervisor.log"), "a", 0o600)
  const script = join(repositoryRoot, "sandbox/src/supervise.ts")
  const flags = [...(options.split ? ["--split"] : []), ...(options.detach ? [] : ["--attached"])]
  return spawn(process.execPath, [script, ...flags], {
    cwd: repositoryRoot,
    env: { ...process.env, NODE_COMPILE_CACHE: join(repositoryRoot, ".dev", "compiled") },
    detached: true,
    stdio: ["ignore", log, log, "ipc"]
  })
}

/** Shows progress until the sandbox is ready; refuses with its words when it can't start. */
const untilReady = (supervisor: ChildProcess, log: string): Promise<void> =>
  new Promise((resolve, reject) => {
    supervisor.on("message", (message) => {
      const progress = message as Progress
      if (progress.kind === "note") say(dim(`  ${progress.text}`))
      if (progress.kind === "step") done(progress.what, progress.millis)
      if (progress.kind === "ready") resolve()
      if (progress.kind === "failed") reject(new Refusal(progress.text))
    })
    supervisor.once("error", reject)
    supervisor.once("exit", () => reject(new Refusal(`The sandbox ended while it was starting. Its last words are in ${log}`)))
  })

const tellNext = (state: SandboxState, directory: DevDirectory): void => {
  const { port } = new URL(state.edge_https)
  const curl = `curl --cacert ${state.acme.root_ca} --connect-to ::127.0.0.1:${port} https://shop.acme.test/`
  say(
    [
      "",
      `${bold("API")}        ${state.api}`,
      `${bold("key")}        ${state.api_key}`,
      `${bold("application")} ${state.application_id}`,
      `${bold("edge")}       ${state.edge_https}  ${state.edge_http}`,
      `${bold("internal")}   ${state.internal}/internal/ask?domain=shop.acme.test`,
      `${bold("DNS")}        ${state.dns.address}  ${dim(`(dig @127.0.0.1 -p ${state.dns.address.split(":")[1]} shop.acme.test)`)}`,
      `${bold("webhooks")}   ${state.webhook_sink.received}`,
      `${bold("all of it")}  ${directory.state}`,
      "",
      "Try next:",
      "  ./dev connect www.example-customer.test               the manual story, step by step",
      "  ./dev connect blog.example-customer.test --automatic  the provider writes the records",
      "  ./dev tenant create --plan free                       a tenant with limits",
      `  ${curl}`,
      "  ./dev status   ./dev logs   ./dev down"
    ].join("\n")
  )
}

const stayAttached = (supervisor: ChildProcess, directory: DevDirectory): Promise<number> =>
  new Promise((resolve) => {
    say(dim("\nRunning. Ctrl-C ends everything."))
    const end = () => {
      say("\nEnding ...")
      void endSandbox(directory).then(() => resolve(0))
    }
    process.once("SIGINT", end)
    process.once("SIGTERM", end)
    supervisor.once("exit", (code) => resolve(code ?? 1))
  })

export const up = async (options: UpOptions): Promise<number> => {
  const began = Date.now()
  const directory = devDirectory()
  const record = readRecord(directory)
  if (record !== undefined && isAlive(record.supervisor)) {
    if (readJson(directory.state) === undefined) throw new Refusal("A sandbox is being started here already. './dev status' shows it.")
    say("The sandbox is running already.")
    tellNext(readState(directory), directory)
    return 0
  }
  await endLeftovers(directory)
  createDevDirectory(directory)
  rotateLogs(directory)
  say(`Starting Connect Domain in ${directory.root}`)
  const supervisor = startSupervisor(directory, options)
  let ending = false
  const interrupted = () => {
    ending = true
    void endSandbox(directory).then(() => process.exit(130))
  }
  process.once("SIGINT", interrupted)
  let code = 0
  try {
    await untilReady(supervisor, join(directory.logs, "supervisor.log"))
    say(`Ready after ${seconds(Date.now() - began)}`)
  } catch (error) {
    // What can't be started is not left half-started.
    await endSandbox(directory)
    if (ending) return 130
    throw error
  } finally {
    process.removeListener("SIGINT", interrupted)
    if (options.detach) letGo(supervisor)
  }
  const state = readState(directory)
  if (options.demo) code = await tryDemo(state)
  tellNext(state, directory)
  return options.detach ? code : stayAttached(supervisor, directory)
}

const letGo = (supervisor: ChildProcess): void => {
  if (supervisor.connected) supervisor.disconnect()
  supervisor.unref()
}

/** A demo that fails leaves the sandbox as it is, for a look. */
const tryDemo = async (state: SandboxState): Promise<number> => {
  try {
    await demo(state)
    return 0
  } catch (error) {
    say(`\n${red("The demo did not finish:")} ${(error as Error).message}`)
    return 1
  }
}
