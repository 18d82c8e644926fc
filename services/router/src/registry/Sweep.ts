/**
 * Visiting every record of a store without standing in anybody's way.
 *
 * Owns: the slices. The first is done at once, so a small store is swept in one go; the rest follows in later turns of the loop, a page at a
 * time. What is put meanwhile may be visited or not: `visit` decides by what is so at that moment.
 */
import type { RecordStore } from "./store/RecordStore.ts"

const sliceMillis = 4

export class Sweep {
  private next: NodeJS.Immediate | undefined
  private store: RecordStore | undefined

  /** Stops a sweep that is under way. `visit` may remove the record that it is given; `done`: all were visited. */
  start(store: RecordStore, visit: (ref: number) => void, done: () => void): void {
    this.stop()
    this.store = store
    store.pages.pins++
    let place = 0
    const slice = () => {
      this.next = undefined
      const until = performance.now() + sliceMillis
      do place = store.pages.visit(place, visit)
      while (place !== 0 && performance.now() < until)
      if (place !== 0) this.next = setImmediate(slice)
      else {
        this.stop()
        done()
      }
    }
    slice()
  }

  stop(): void {
    clearImmediate(this.next)
    this.next = undefined
    if (this.store !== undefined) this.store.pages.pins--
    this.store = undefined
  }
}
