/**
 * What a person sees while something takes time: lines with elapsed seconds, a bar for things that can be counted.
 *
 * Owns: the look on a terminal and in a log (no control characters there). Built against: a command that is silent for ten seconds.
 */
const terminal = process.stderr.isTTY === true
const colour = terminal && process.env.NO_COLOR === undefined
const paint = (code: number) => (text: string) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text)
export const green = paint(32)
export const red = paint(31)
export const dim = paint(2)
export const bold = paint(1)

export const say = (line: string): void => void process.stderr.write(`${line}\n`)

/** `0.43 s` */
export const seconds = (millis: number): string => `${(millis / 1000).toFixed(millis < 10_000 ? 2 : 1)} s`

export const done = (what: string, millis: number): void => say(`  ${green("✓")} ${what.padEnd(36)} ${dim(seconds(millis))}`)

const clock = (millis: number): string => {
  const total = Math.max(0, Math.round(millis / 1000))
  return total < 60 ? `${total} s` : `${Math.floor(total / 60)} min ${total % 60} s`
}

/** A bar that redraws itself on a terminal and prints a line every few seconds elsewhere. */
export class ProgressBar {
  readonly #what: string
  readonly #total: number
  readonly #began = Date.now()
  #done = 0
  #note = ""
  #drawnAt = 0

  constructor(what: string, total: number) {
    this.#what = what
    this.#total = total
  }

  set(count: number, note = ""): void {
    this.#done = count
    this.#note = note
    const now = Date.now()
    if (now - this.#drawnAt < (terminal ? 100 : 3_000) && count < this.#total) return
    this.#drawnAt = now
    this.#draw(false)
  }

  finish(): void {
    this.#draw(true)
  }

  #draw(last: boolean): void {
    const share = this.#total === 0 ? 1 : this.#done / this.#total
    const elapsed = Date.now() - this.#began
    const width = 28
    const filled = Math.round(share * width)
    const left = last || share === 0 ? clock(elapsed) : `${clock(elapsed / share - elapsed)} left`
    const bar = `${"█".repeat(filled)}${"░".repeat(width - filled)}`
    const line = `  ${this.#what} ${bar} ${this.#done}/${this.#total} ${dim(left)} ${this.#note}`
    if (terminal) process.stderr.write(`\r\u001b[K${line}${last ? "\n" : ""}`)
    else say(line)
  }
}
