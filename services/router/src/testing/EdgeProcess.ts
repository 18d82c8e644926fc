/**
 * The router as a process of its own, as an operator runs it: `main.ts`, environment, signals, exit code.
 *
 * Owns: starting it on free ports and learning which, its log. Leaves to `ControlPlane.ts`: what it serves. For what only a process shows: SIGTERM,
 * SO_REUSEPORT, memory, file descriptors, and that nothing ends it.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { testRing } from "./TestEdge.ts"

export interface Ports {
  readonly http: number
  readonly https: number
}

/** EDGE_KEK for what `TestEdge.ts` seals. */
export const testKek = `t:${Buffer.from(testRing.keys.get("t")!).toString("base64")}`

export class EdgeProcess {
  readonly child: ChildProcess
  http = 0
  https = 0
  log = ""
  /** Resolves with the exit code, or with the signal's name. */
  readonly exited: Promise<number | string>

  private constructor(environment: Readonly<Record<string, string>>) {
    this.child = spawn(process.execPath, [join(import.meta.dirname, "../main.ts")], {
      env: { PATH: process.env.PATH ?? "", EDGE_KEK: testKek, CD_NETWORK_ALLOW: "127.0.0.0/8", CD_MODE: "sandbox", ...environment },
      stdio: ["ignore", "pipe", "pipe"]
    })
    this.exited = new Promise((resolve) => this.child.once("exit", (code, signal) => resolve(code ?? signal ?? "unknown")))
  }

  /** Resolves when it listens; rejects with its log when it ends before. `environment` stands above the defaults; ports 0 are free ones. */
  static start(environment: Readonly<Record<string, string>>, ports: Ports = { http: 0, https: 0 }): Promise<EdgeProcess> {
    const edge = new EdgeProcess({
      CD_EDGE_HTTP_LISTEN: `127.0.0.1:${ports.http}`,
      CD_EDGE_HTTPS_LISTEN: `127.0.0.1:${ports.https}`,
      CD_EDGE_ACCESS_LOG: "off",
      ...environment
    })
    return new Promise((resolve, reject) => {
      const read = (piece: Buffer) => {
        edge.log = (edge.log + piece.toString()).slice(-65_536)
        const line = edge.https === 0 ? /^.*"edge listens".*$/m.exec(edge.log)?.[0] : undefined
        if (line === undefined) return
        Object.assign(edge, { http: JSON.parse(line).http, https: JSON.parse(line).https })
        resolve(edge)
      }
      edge.child.stdout!.on("data", read)
      edge.child.stderr!.on("data", read)
      void edge.exited.then((code) => reject(new Error(`the router ended with ${code}: ${edge.log}`)))
    })
  }

  get ports(): Ports {
    return { http: this.http, https: this.https }
  }

  /** Asks it to end; resolves with the exit code. */
  stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<number | string> {
    this.child.kill(signal)
    return this.exited
  }

  get residentMebibytes(): number {
    const line = /^VmRSS:\s+([0-9]+)/m.exec(readFileSync(`/proc/${this.child.pid}/status`, "utf8"))
    return Math.round(Number(line?.[1] ?? 0) / 102.4) / 10
  }

  get openFiles(): number {
    return readdirSync(`/proc/${this.child.pid}/fd`).length
  }
}
