/**
 * Time limits of many connections with one timer.
 *
 * Owns: finding those whose time is up, to within one tick. Leaves to its users: what a limit is for, and what happens then.
 * Built against: a timer object per connection and per phase, armed and cleared several times a request.
 */
import { type Member, Roster } from "./Roster.ts"

export interface Watched extends Member {
  /** Milliseconds of `Deadlines.now`; 0 for no limit. Set directly: moving a limit is one store. */
  deadline: number
  onDeadline(): void
}

const tickMillis = 250

export class Deadlines {
  /** Milliseconds of a clock that only goes forward, as of the last tick. */
  now = performance.now()
  private readonly watched = new Roster<Watched>()
  private timer: NodeJS.Timeout | undefined

  start(): void {
    this.timer ??= setInterval(() => this.tick(), tickMillis).unref()
  }

  stop(): void {
    clearInterval(this.timer)
    this.timer = undefined
  }

  watch(item: Watched): void {
    this.watched.add(item)
  }

  forget(item: Watched): void {
    this.watched.remove(item)
  }

  private tick(): void {
    this.now = performance.now()
    for (const item of this.watched.list()) {
      if (item.deadline === 0 || item.deadline > this.now || !this.watched.has(item)) continue
      item.deadline = 0
      item.onDeadline()
    }
  }
}
