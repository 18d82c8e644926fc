/** `./dev bench <name> [-- options]`: runs one of `bench/*.ts` against this sandbox, with the Node that runs the sandbox. */
import { spawnSync } from "node:child_process"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { Refusal } from "./DevDirectory.ts"

const folder = join(import.meta.dirname, "..", "..", "bench")

/** A benchmark is a lower-case file there; `report.ts` is what they print with. */
const benchmarks = (): ReadonlyArray<string> =>
  readdirSync(folder)
    .filter((file) => /^[a-z]\w*\.ts$/.test(file) && file !== "report.ts")
    .map((file) => file.slice(0, -3))

export const bench = (name: string | undefined, options: ReadonlyArray<string>): number => {
  if (name === undefined || !benchmarks().includes(name)) {
    throw new Refusal(`Usage: ./dev bench <${benchmarks().join("|")}> [-- options]; what each measures: bench/README.md`)
  }
  return spawnSync(process.execPath, [join(folder, `${name}.ts`), ...options], { stdio: "inherit" }).status ?? 1
}
