/**
 * A network of one's own: loopback alone, the same on every machine.
 *
 * Owns: running a measurement again inside a network namespace whose connections use cubic, the congestion control of nearly every Linux. Built against:
 * a machine set to BBR, which paces what is written by timers: made for long lines, on loopback it costs an edge as much as its own work does.
 */
import { spawnSync } from "node:child_process"

export const congestionControl = process.env["EDGE_CONGESTION_CONTROL"] ?? "cubic"

const mark = "EDGE_IN_OWN_NETWORK"

/** Local routes are chosen before all others, and name what their connections use, whatever the kernel's default is. */
const prepare = ["127.0.0.0/8", "127.0.0.1"]
  .map((target) => `ip route replace local ${target} dev lo table local proto kernel scope host src 127.0.0.1 congctl ${congestionControl}`)
  .join(" && ")

/** To be called first: does not return where the process is not in it yet, and ends with its status. */
export const enterOwnNetwork = (): void => {
  if (process.env[mark] !== undefined) return
  const inside = ["sh", "-c", `ip link set lo up && ${prepare} && exec "$@"`, "sh", process.execPath, ...process.argv.slice(1)]
  const asRoot = process.getuid?.() === 0 ? [] : ["--map-root-user"]
  const { error, status } = spawnSync("unshare", ["--net", ...asRoot, ...inside], {
    stdio: "inherit",
    env: { ...process.env, [mark]: "1" }
  })
  if (error !== undefined) throw new Error(`${error.message}: apt-get install util-linux iproute2`)
  process.exit(status ?? 1)
}
