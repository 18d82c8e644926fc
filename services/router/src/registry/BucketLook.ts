/**
 * Which records of a store stand in their bucket, as far as the present look at it has come.
 *
 * Owns: marking records with the look that saw them last, counting them, going through those that the bucket lacks. Leaves to `Registry.ts`: when
 * that ends a record.
 */
import { Sweep } from "./Sweep.ts"
import type { RecordStore } from "./store/RecordStore.ts"

export class BucketLook {
  /** Every key that stood in the bucket was seen once since the look began. */
  complete = false
  /** Records that stand in the bucket. */
  present = 0
  /** Which look is the present one; a record's mark is the one that saw it last. */
  private look = 1
  private readonly sweep = new Sweep()
  private readonly store: () => RecordStore

  /** `store`: asked each time, since a snapshot brings its own. */
  constructor(store: () => RecordStore) {
    this.store = store
  }

  begin(): void {
    this.sweep.stop()
    this.look++
    this.present = 0
    this.complete = false
  }

  sees(ref: number): boolean {
    return this.store().markOf(ref) === this.look
  }

  /** The record with this reference, if there is one, stands in the bucket. */
  see(ref: number): void {
    if (ref === 0 || this.sees(ref)) return
    this.store().setMark(ref, this.look)
    this.present++
  }

  /** It stands there no more. */
  unsee(ref: number): void {
    if (ref === 0) return
    if (this.sees(ref)) this.present--
    this.store().setMark(ref, 0)
  }

  /** Visits what the bucket lacks, in the background if it takes long; then `done`, unless another look began. `visit` may remove what it is given. */
  sweepAbsent(visit: (ref: number) => void, done: () => void = () => {}): void {
    const store = this.store()
    if (this.present === store.size) {
      done()
      return
    }
    const visitAbsent = (ref: number) => {
      if (!this.sees(ref)) visit(ref)
    }
    this.sweep.start(store, visitAbsent, done)
  }
}
