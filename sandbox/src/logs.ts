/**
 * `./dev logs [name]`: the end of each log, each line with its source; on a terminal (or with `--follow`) then what is added, until Ctrl-C.
 *
 * Built against: a script that reads the logs through a pipe and waits for an end that never comes.
 */
import { existsSync, openSync, readdirSync, readSync, statSync, watch } from "node:fs"
import { basename, join } from "node:path"
import { serviceNames } from "@connect-domain/messages/definition.ts"
import { devDirectory, Refusal } from "./DevDirectory.ts"
import { dim } from "./progress.ts"

const tailBytes = 65_536

/** Prints whole lines as they come. */
class Follower {
  readonly #file: string
  readonly #label: string
  readonly #part: string
  #at: number
  #rest = ""

  /** `part`: only lines that contain it. */
  constructor(file: string, label: string, part: string) {
    this.#file = file
    this.#label = label
    this.#part = part
    const { size } = statSync(file)
    this.#at = Math.max(0, size - tailBytes)
    this.read(this.#at > 0)
  }

  read(skipFirst = false): void {
    const { size } = statSync(this.#file)
    if (size < this.#at) this.#at = 0
    if (size === this.#at) return
    const bytes = Buffer.alloc(size - this.#at)
    this.#at += readSync(openOnce(this.#file), bytes, 0, bytes.length, this.#at)
    const lines = (this.#rest + bytes.toString("utf8")).split("\n")
    this.#rest = lines.pop() ?? ""
    for (const line of skipFirst ? lines.slice(1) : lines) if (line.includes(this.#part)) process.stdout.write(`${this.#label}${line}\n`)
  }
}

const descriptors = new Map<string, number>()
const openOnce = (file: string): number => {
  const known = descriptors.get(file) ?? openSync(file, "r")
  descriptors.set(file, known)
  return known
}

export const logs = async (name: string | undefined, follow = process.stdout.isTTY === true): Promise<number> => {
  const { logs: folder } = devDirectory()
  const all = existsSync(folder) ? readdirSync(folder).filter((file) => file.endsWith(".log")) : []
  const known = all.map((file) => basename(file, ".log"))
  const wanted = name === undefined ? known : known.filter((one) => one === name)
  // In one process all services share a log, whose lines name theirs.
  const shared = wanted.length === 0 && serviceNames.some((service) => service === name) && known.includes("services")
  const chosen = shared ? ["services"] : wanted
  if (chosen.length === 0)
    throw new Refusal(`There is no log${name === undefined ? " yet" : ` '${name}'`}. Known: ${known.join(", ") || "none"}.`)
  const labelOf = (one: string) => (chosen.length > 1 ? dim(`${one.padEnd(12)} `) : "")
  const part = shared ? `"service":"${name}"` : ""
  const followers = new Map(chosen.map((one) => [`${one}.log`, new Follower(join(folder, `${one}.log`), labelOf(one), part)]))
  if (!follow) return 0
  const watcher = watch(folder, (_, file) => followers.get(String(file))?.read())
  return new Promise((resolve) => {
    process.once("SIGINT", () => {
      watcher.close()
      resolve(0)
    })
  })
}
