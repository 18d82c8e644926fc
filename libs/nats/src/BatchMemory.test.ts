import { expect, it } from "vitest"
import { BatchMemory } from "./BatchMemory.ts"

it("gives back what was put, of any size, until it is cleared", () => {
  const memory = new BatchMemory()
  for (const clearing of [1, 2, 3]) {
    memory.clear()
    const sizes = [0, 5, 700_000, 700_000, 3_000_000, 1, 0, 2_000_000]
    const source = new Uint8Array(3_000_000)
    const kept = sizes.map((size, at) => memory.put(source.fill(clearing * 16 + at).subarray(0, size)))
    expect(kept.map(({ length }) => length)).toEqual(sizes)
    kept.forEach((bytes, at) => void expect(bytes.every((byte) => byte === clearing * 16 + at)).toBe(true))
  }
})

it("is used again", () => {
  const memory = new BatchMemory()
  const first = memory.put(new Uint8Array(10))
  memory.clear()
  expect(memory.put(new Uint8Array(20)).buffer).toBe(first.buffer)
})
