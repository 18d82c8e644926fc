/**
 * The edges that are compared, in front of one origin.
 *
 * Owns: starting them alike: one core, the same certificate, suites and origin. Leaves to `peers.ts`: the peers' configurations.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { freePort } from "@connect-domain/domain/testing/freePorts.ts"
import { type Processes, wait } from "./Processes.ts"
import { caddyEdge, haproxyEdge, nginxEdge, nginxOrigin } from "./peers.ts"
import { allocator, checkPreloaded, routerEnvironment, routerOptions } from "./routerOptions.ts"

/** Options of the router's node, and of the one it is compared with: so a pair can differ in them alone. Default: as it is deployed. */
const optionsOf = (name: string): ReadonlyArray<string> =>
  process.env[name === "before" ? "EDGE_BEFORE_NODE_OPTIONS" : "EDGE_NODE_OPTIONS"]?.split(" ").filter(Boolean) ?? routerOptions
/** The library that is loaded before all others; empty: none. */
const preloadOf = (name: string): string =>
  name === "before" ? (process.env["EDGE_BEFORE_PRELOAD"] ?? allocator) : routerEnvironment.LD_PRELOAD

export interface Subject {
  readonly name: string
  readonly port: number
  readonly pid: number
}

const edgeCore = 0
const loadCore = 1

/** Returns its port. */
export const startOrigin = async (processes: Processes): Promise<number> => {
  const { folder } = processes
  const port = await freePort()
  mkdirSync(join(folder, "www"))
  writeFileSync(join(folder, "www", "megabyte"), Buffer.alloc(1024 * 1024, 97))
  writeFileSync(join(folder, "origin.conf"), nginxOrigin(folder, port))
  processes.start(loadCore, "nginx", ["-c", join(folder, "origin.conf")])
  return port
}

/**
 * `checkout`: the folder of a whole checkout, so that two states of the code can be measured in pairs. `node`: what runs it, with options that come before
 * those that it is deployed with.
 */
export const startRouter = async (
  processes: Processes,
  name: string,
  checkout: string,
  origin: number,
  node: readonly [string, ...ReadonlyArray<string>] = [process.execPath]
): Promise<Subject> => {
  const folder = join(processes.folder, name)
  mkdirSync(folder)
  const [program, ...first] = node
  const parameters = [...first, ...optionsOf(name), join(checkout, "bench/edge/startEdge.ts"), `http://127.0.0.1:${origin}`, folder]
  const library = preloadOf(name)
  const pid = processes.start(edgeCore, program, parameters, { environment: { LD_PRELOAD: library }, output: join(folder, "access.log") })
  for (let tries = 0; !existsSync(join(folder, "edge.json")); tries++) {
    if (tries > 1200) throw new Error(`the router of ${checkout} did not start`)
    await wait(50)
  }
  checkPreloaded(pid, library)
  const { https } = JSON.parse(readFileSync(join(folder, "edge.json"), "utf8")) as { https: number }
  return { name, port: https, pid }
}

const peers = {
  nginx: async (processes: Processes, origin: number) => {
    const port = await freePort()
    const file = join(processes.folder, "nginx.conf")
    writeFileSync(file, nginxEdge(processes.folder, port, origin))
    return { name: "nginx", port, pid: processes.start(edgeCore, process.env["EDGE_NGINX"] ?? "nginx", ["-c", file]) }
  },
  haproxy: async (processes: Processes, origin: number) => {
    const port = await freePort()
    const file = join(processes.folder, "haproxy.cfg")
    writeFileSync(file, haproxyEdge(processes.folder, port, origin))
    return { name: "haproxy", port, pid: processes.start(edgeCore, process.env["EDGE_HAPROXY"] ?? "haproxy", ["-f", file]) }
  },
  caddy: async (processes: Processes, origin: number) => {
    const port = await freePort()
    const { folder } = processes
    const file = join(folder, "caddy.json")
    writeFileSync(file, caddyEdge(folder, port, origin))
    const environment = { GOMAXPROCS: "1", HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder }
    return {
      name: "caddy",
      port,
      pid: processes.start(edgeCore, process.env["EDGE_CADDY"] ?? "caddy", ["run", "--config", file], { environment })
    }
  }
}

export type Peer = keyof typeof peers
export const peerNames = Object.keys(peers) as ReadonlyArray<Peer>

/** `before`: another checkout, measured as `before`. */
export const startSubjects = async (
  processes: Processes,
  options: { readonly peers: ReadonlyArray<Peer>; readonly before: string | undefined }
): Promise<ReadonlyArray<Subject>> => {
  const { folder } = processes
  const origin = await startOrigin(processes)
  const router = await startRouter(processes, "router", join(import.meta.dirname, "../.."), origin)
  const pem = (file: string) => readFileSync(join(folder, "router", file), "utf8")
  for (const file of ["chain.pem", "key.pem"]) writeFileSync(join(folder, file), pem(file))
  writeFileSync(join(folder, "both.pem"), `${pem("chain.pem")}\n${pem("key.pem")}`)
  const before = options.before === undefined ? [] : [await startRouter(processes, "before", options.before, origin)]
  const others: Array<Subject> = []
  for (const peer of options.peers) others.push(await peers[peer](processes, origin))
  await wait(1000)
  return [...others, ...before, router]
}
