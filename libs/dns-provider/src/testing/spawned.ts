/**
 * Real DNS servers as child processes of a test: started, watched until they answer, killed by pid, their folder removed.
 *
 * Owns the process. Leaves what is started with which configuration to the launchers beside it. A server that is not installed is an error
 * with the command that installs it, never a skipped test.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { createSocket } from "node:dgram"
import { once } from "node:events"
import { rmSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import { decode, encode } from "dns-packet"

/** The program's path; otherwise an error that says which Debian packages hold it. */
export const findProgram = (program: string, packages: string): string => {
  for (const folder of ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/sbin", "/opt/homebrew/bin"]) {
    try {
      execFileSync("test", ["-x", `${folder}/${program}`])
      return `${folder}/${program}`
    } catch {
      // not here
    }
  }
  throw new Error(`${program} is not installed: apt-get install -y --no-install-recommends ${packages}`)
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createSocket("udp4")
    const finish = (result: boolean) => {
      clearTimeout(timer)
      socket.close()
      resolve(result)
    }
    const timer = setTimeout(() => finish(false), 250)
    socket.on("error", () => finish(false))
    socket.on("message", (message) => finish(decode(message).type === "response"))
    socket.send(encode({ type: "query", id: 1, questions: [{ type: "SOA", name: "." }] }), port, "127.0.0.1")
  })

/** Starts a server and waits until it answers DNS at the port; throws with its output when it ends before. The folder goes either way. */
export const startServer = async (options: {
  readonly program: string
  readonly args: ReadonlyArray<string>
  readonly port: number
  readonly folder: string
}) => {
  const child: ChildProcess = spawn(options.program, [...options.args], { stdio: ["ignore", "pipe", "pipe"] })
  let output = ""
  const keep = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-4000)
  }
  child.stdout?.on("data", keep)
  child.stderr?.on("data", keep)
  const ended = () => child.exitCode !== null || child.signalCode !== null
  const close = async () => {
    if (!ended()) {
      child.kill("SIGKILL")
      await once(child, "exit")
    }
    rmSync(options.folder, { recursive: true, force: true })
  }
  for (let tries = 0; !(await answers(options.port)); tries++) {
    if (ended() || tries > 100) {
      await close()
      throw new Error(`${options.program} did not start:\n${output}`)
    }
    await sleep(50)
  }
  return { close, output: () => output }
}
