/**
 * Changes on their way to the journal.
 *
 * Owns: collecting them for a moment, writing them in their order, keeping them while the disk takes none. Leaves to `Journal.ts`: the file; to
 * `Snapshot.ts`: which file, and what happens when too many wait. Built against: a full disk that has room again: whatever it refused is
 * written before what came later, so that a restart never finds a name that was released in between.
 */
import { Frames, Journal } from "./Journal.ts"
import type { RegistryChange } from "./RegistryJournal.ts"

const flushMillis = 50
/** After a failure to write. */
const retryMillis = 1000
/** No more bytes than this wait in memory. */
const maxWaiting = 64 * 1024 * 1024

export interface JournalOwner {
  /** The file has grown to this many bytes. */
  grown(bytes: number): void
  /** More changes waited than memory is kept for: they are lost to the journal. */
  lost(): void
}

export class JournalWriter {
  /** The last failure to write; undefined while nothing is held back by one. */
  private failure: unknown
  private readonly owner: JournalOwner
  private journal: Journal
  private waiting = new Frames()
  /** Its memory is for what comes next. */
  private spare = new Frames()
  /** Of the write that is under way; they may have to wait again. */
  private writingBytes = 0
  private timer: NodeJS.Timeout | undefined
  private writing: Promise<void> = Promise.resolve()

  constructor(path: string, owner: JournalOwner) {
    this.journal = new Journal(path)
    this.owner = owner
  }

  /** What holds changes back, in words. */
  get problem(): string | undefined {
    return this.failure === undefined ? undefined : String(this.failure)
  }

  /** Changes go to this file from now on, those that still wait too. */
  begin(path: string): void {
    const before = this.journal
    this.journal = new Journal(path)
    this.writing = this.writing.then(() => before.close())
  }

  /** Resolves when the disk has every change that was put before; rejects when it does not take them now. */
  async sync(): Promise<void> {
    this.writing = this.writing.then(() => this.flush())
    await this.writing
    if (this.failure !== undefined) throw this.failure
  }

  put(change: RegistryChange): void {
    this.waiting.put(change)
    this.keepWithin()
    this.flushSoon()
  }

  private keepWithin(): void {
    if (this.waiting.bytes + this.writingBytes <= maxWaiting) return
    this.waiting = new Frames()
    this.owner.lost()
  }

  private take(): Frames {
    const frames = this.waiting
    this.waiting = this.spare
    this.spare = new Frames()
    return frames
  }

  private flushSoon(): void {
    this.timer ??= setTimeout(
      () => {
        this.timer = undefined
        this.writing = this.writing.then(() => this.flush())
      },
      this.failure === undefined ? flushMillis : retryMillis
    )
  }

  private async flush(): Promise<void> {
    const { journal } = this
    const frames = this.take()
    this.writingBytes = frames.bytes
    try {
      if (frames.bytes > 0) await journal.append(frames)
      this.writingBytes = 0
      this.failure = undefined
      this.owner.grown(journal.bytes)
      frames.clear()
      this.spare = frames
    } catch (error) {
      this.writingBytes = 0
      this.failure = error
      frames.append(this.waiting)
      this.waiting = frames
      this.keepWithin()
      this.flushSoon()
    }
  }

  /** Tries once more to write what waits. */
  async close(): Promise<void> {
    clearTimeout(this.timer)
    await this.writing
    await this.flush()
    clearTimeout(this.timer)
    await this.journal.close()
  }
}
