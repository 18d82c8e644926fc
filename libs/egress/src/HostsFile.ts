/**
 * Names that this machine knows by itself: the hosts file, and `localhost`.
 *
 * Owns: reading the file, anew as soon as it has changed. Leaves to `resolveName.ts`: everybody else's names.
 */
import { readFileSync, statSync } from "node:fs"
import { isIP } from "node:net"
import type { Found } from "./resolveName.ts"

/** RFC 6761 §6.3: no name server and no file is asked for `localhost` and what is below it. */
const localhost = /^(?:.+\.)?localhost$/
const loopback: ReadonlyArray<Found> = [
  { address: "::1", family: 6 },
  { address: "127.0.0.1", family: 4 }
]

const parse = (text: string): Map<string, Array<Found>> => {
  const names = new Map<string, Array<Found>>()
  for (const line of text.split("\n")) {
    const [address, ...aliases] = line.replace(/#.*/, "").trim().split(/\s+/)
    const family = isIP(address ?? "")
    if (family === 0) continue
    for (const alias of aliases) {
      const name = alias.toLowerCase()
      const known = names.get(name)
      if (known === undefined) names.set(name, [{ address: address!, family }])
      else known.push({ address: address!, family })
    }
  }
  return names
}

export class HostsFile {
  private readonly path: string
  private version = ""
  private names = new Map<string, Array<Found>>()

  constructor(path: string) {
    this.path = path
  }

  /** `name` in lower case, without a dot at its end. */
  find(name: string): ReadonlyArray<Found> | undefined {
    if (localhost.test(name)) return loopback
    this.refresh()
    return this.names.get(name)
  }

  private refresh(): void {
    try {
      const stat = statSync(this.path, { throwIfNoEntry: false })
      const version = stat === undefined ? "" : `${stat.ino} ${stat.mtimeMs} ${stat.size}`
      if (version === this.version) return
      this.version = version
      this.names = stat === undefined ? new Map() : parse(readFileSync(this.path, "utf8"))
    } catch {
      // Removed or unreadable just now: what was known holds until it changes again.
    }
  }
}
