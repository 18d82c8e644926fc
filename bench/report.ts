/** What a benchmark prints and records: one table, one JSON file in `bench/results/` with the machine it ran on. */
import { mkdirSync, writeFileSync } from "node:fs"
import { availableParallelism, cpus, totalmem } from "node:os"
import { join } from "node:path"

export interface Row {
  readonly what: string
  readonly value: number
  readonly unit: string
  /** What it is held to, if anything. */
  readonly target?: { readonly atMost: number } | { readonly atLeast: number }
}

/** The q-quantile (0…1) by the nearest rank; NaN of nothing. */
export const quantile = (values: ReadonlyArray<number>, q: number): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))] ?? Number.NaN
}

const met = ({ value, target }: Row): boolean =>
  target === undefined || ("atMost" in target ? value <= target.atMost : value >= target.atLeast)

const shown = (value: number): string => value.toFixed(Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2)

/** Prints the rows, writes `results/<name>.json`, answers whether every target was met. */
export const report = (name: string, settings: Readonly<Record<string, unknown>>, rows: ReadonlyArray<Row>): boolean => {
  const width = Math.max(...rows.map((row) => row.what.length))
  for (const row of rows) {
    const { target } = row
    const wanted = target === undefined ? "" : "atMost" in target ? `≤ ${target.atMost}` : `≥ ${target.atLeast}`
    const verdict = target === undefined ? "" : met(row) ? "met" : "NOT MET"
    console.log(
      `  ${row.what.padEnd(width)}  ${shown(row.value).padStart(8)} ${row.unit.padEnd(5)} ${wanted.padEnd(8)} ${verdict}`.trimEnd()
    )
  }
  const folder = join(import.meta.dirname, "results")
  mkdirSync(folder, { recursive: true })
  const machine = {
    cpus: availableParallelism(),
    cpu: cpus()[0]?.model ?? "",
    memory_gib: Math.round(totalmem() / 2 ** 30),
    platform: process.platform,
    node: process.version
  }
  const results = rows.map((row) => ({ ...row, value: Math.round(row.value * 100) / 100, met: met(row) }))
  const record = { benchmark: name, at: new Date().toISOString(), machine, settings, results }
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(record, null, 2)}\n`)
  return rows.every(met)
}
