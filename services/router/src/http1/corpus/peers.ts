/**
 * nginx and haproxy as origins of the edge, with an origin of their own behind them.
 *
 * Owns: starting them as Debian installs them, and what of a request they change by their own documents. Nothing about how they read fields is
 * configured: only what any proxy needs. Leaves to `readAlike.integration.test.ts`: the comparison. A program that is missing is an error with
 * the command that installs it, never a skipped test.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import { freePort } from "@connect-domain/domain/testing/freePorts.ts"

export interface Peer {
  readonly program: "nginx" | "haproxy"
  /** Its configuration: a proxy from `port` to `origin` (address and port), with its files in `folder`. */
  readonly configuration: (folder: string, port: number, origin: string) => string
  readonly parameters: (file: string) => ReadonlyArray<string>
  /** The field does not reach its origin. */
  readonly drops: (name: string) => boolean
  readonly dropsTrailers: boolean
  /** Cases by name that it refuses itself, which is no other reading: the status, and why. */
  readonly refuses: Readonly<Record<string, readonly [status: number, why: string]>>
}

/** As root nginx would change to a user that can't read the folder. */
const user = process.getuid?.() === 0 ? "user root;" : ""

export const peers: ReadonlyArray<Peer> = [
  {
    program: "nginx",
    configuration: (folder, port, origin) => `${user} daemon off; pid ${folder}/pid; error_log stderr; events {}
http {
  access_log off; client_body_temp_path ${folder}/b; proxy_temp_path ${folder}/p; fastcgi_temp_path ${folder}/f;
  uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  server { listen 127.0.0.1:${port}; location / { proxy_pass http://${origin}; proxy_set_header Host $http_host; } }
}
`,
    parameters: (file) => ["-c", file],
    // ignore_invalid_headers and underscores_in_headers: letters, digits and hyphens only. proxy_set_header: Expect is not passed.
    drops: (name) => /[^a-z0-9-]/.test(name) || name === "expect",
    dropsTrailers: true,
    refuses: {
      "OPTIONS *": [400, "it takes no asterisk-form"],
      "OPTIONS of a whole server in absolute form": [400, "it takes no asterisk-form, which is what the last proxy sends"]
    }
  },
  {
    program: "haproxy",
    configuration: (_, port, origin) => `defaults
  mode http
  timeout connect 20s
  timeout client 60s
  timeout server 60s
listen proxy
  bind 127.0.0.1:${port}
  server origin ${origin}
`,
    parameters: (file) => ["-db", "-f", file],
    drops: () => false,
    dropsTrailers: false,
    refuses: { "980 lines": [400, "tune.http.maxhdr: 101 lines"] }
  }
]

const accepts = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => resolve(socket.destroy() !== undefined)).once("error", () => resolve(false))
  })

/** Starts it in front of an origin and waits until it accepts; rejects with what it said when it ends before. */
export const startPeer = async (peer: Peer, originUrl: string): Promise<{ readonly url: string; readonly stop: () => Promise<void> }> => {
  const folder = mkdtempSync(join(tmpdir(), `edge-behind-${peer.program}-`))
  const [port, file] = [await freePort(), join(folder, "configuration")]
  writeFileSync(file, peer.configuration(folder, port, originUrl.slice("http://".length)))
  // Where Debian puts servers, which is not on every user's PATH.
  const PATH = [process.env.PATH ?? "", "/usr/sbin", "/usr/local/sbin"].join(delimiter)
  const child: ChildProcess = spawn(peer.program, [...peer.parameters(file)], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, PATH }
  })
  let output = ""
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (piece: Buffer) => {
      output = (output + piece.toString("latin1")).slice(-4000)
    })
  child.once("error", (error) => {
    output = `it is not installed (apt-get install -y --no-install-recommends ${peer.program}): ${error.message}`
  })
  const ended = () => child.pid === undefined || child.exitCode !== null || child.signalCode !== null
  const stop = async () => {
    if (!ended()) {
      child.kill("SIGTERM") // nginx's master takes its workers along
      await once(child, "exit")
    }
    rmSync(folder, { recursive: true, force: true })
  }
  while (!(await accepts(port))) {
    await new Promise((resolve) => setTimeout(resolve, 20))
    if (!ended()) continue
    await stop()
    throw new Error(`${peer.program} did not start: ${output}`)
  }
  return { url: `http://127.0.0.1:${port}`, stop }
}
