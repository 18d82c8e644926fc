/**
 * Work of a millisecond or so each, done in turns of the loop.
 *
 * Owns: how much of a turn it may take, whose work is next (owners by turns, whatever one of them wants), and who goes without when too much waits:
 * the newest work of whoever has most. Leaves to its caller: the work.
 * Built against: a thousand handshakes for cold names that arrive together and hold everybody's requests up for a second (E15), and one tenant's
 * storm in front of another's first visitor.
 */

/** Of a turn; a turn's other work comes on top. */
const turnMillis = 8
/** Beyond this, work is dropped: whoever waits would be gone before it is done. */
export const maxWaiting = 8192

export interface Job {
  go(): void
  /** Too much waits: it is never done. */
  drop(): void
}

export class FairTurns {
  /** Jobs that are not done yet. */
  waiting = 0
  /** In the order in which the owners come. */
  private readonly owners = new Map<string, Array<Job>>()
  private spent = 0
  private next: NodeJS.Immediate | undefined

  /** At once if this turn has time left and nobody waits, else later or never. */
  run(owner: string, job: Job): void {
    if (this.waiting === 0 && this.spent < turnMillis) {
      this.spend(job)
      return
    }
    const jobs = this.owners.get(owner)
    if (jobs === undefined) this.owners.set(owner, [job])
    else jobs.push(job)
    if (this.waiting < maxWaiting) this.waiting++
    else this.dropNewest(owner)
  }

  /** Of whoever has most; `last`, who came just now, before others that have as much. */
  private dropNewest(last: string): void {
    let [greediest, most] = [last, this.owners.get(last)!]
    for (const [owner, jobs] of this.owners) if (jobs.length > most.length) [greediest, most] = [owner, jobs]
    const dropped = most.pop()!
    if (most.length === 0) this.owners.delete(greediest)
    dropped.drop()
  }

  private spend(job: Job): void {
    // Before the job: one that throws has its turn to end as well.
    this.next ??= setImmediate(() => this.turn())
    const began = performance.now()
    try {
      job.go()
    } finally {
      this.spent += performance.now() - began
    }
  }

  private turn(): void {
    this.next = undefined
    this.spent = 0
    while (this.waiting > 0 && this.spent < turnMillis) {
      const [owner, jobs] = this.owners.entries().next().value!
      const job = jobs.shift()!
      this.owners.delete(owner)
      if (jobs.length > 0) this.owners.set(owner, jobs)
      this.waiting--
      this.spend(job)
    }
  }

  /** Forgets what waits. */
  close(): void {
    clearImmediate(this.next)
    this.owners.clear()
    this.waiting = 0
  }
}
