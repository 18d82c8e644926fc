/**
 * A file of changes, appended to and fsynced.
 *
 * Owns: the format, telling a torn end from changes, and cutting one off before anything is written behind it. Leaves to `JournalWriter.ts`: what
 * is written when; to `Snapshot.ts`: which files there are. Built against: kill -9 at any byte, a disk that is full in the middle of a change.
 *
 * Format: for each change length and CRC-32 (32 bits each, little endian) and JSON. Reading ends at the first change that is not whole. Each
 * process begins a file of its own.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs"
import { type FileHandle, open } from "node:fs/promises"
import { dirname } from "node:path"
import { crc32 } from "node:zlib"
import type { RegistryChange } from "./RegistryJournal.ts"
import { syncFolder } from "./syncFolder.ts"

const headBytes = 8

const blockBytes = 256 * 1024
/** Blocks that are filled again after they were written. */
const keptBlocks = 16

/** Changes in the file's form, many in a block: a buffer for each would be garbage by the hundred megabytes in a full look at the buckets. */
export class Frames {
  bytes = 0
  private blocks: Array<{ readonly bytes: Buffer; used: number }> = []
  private filling = 0

  put(change: RegistryChange): void {
    const text = JSON.stringify(change)
    const length = Buffer.byteLength(text)
    const frame = this.room(headBytes + length)
    frame.write(text, headBytes)
    frame.writeUInt32LE(length, 0)
    frame.writeUInt32LE(crc32(frame.subarray(headBytes)), 4)
  }

  /** Behind what is here already. */
  append(frames: Frames): void {
    for (const bytes of frames.written()) this.room(bytes.length).set(bytes)
  }

  written(): ReadonlyArray<Buffer> {
    return this.blocks.filter(({ used }) => used > 0).map(({ bytes, used }) => bytes.subarray(0, used))
  }

  private room(length: number): Buffer {
    while (this.filling < this.blocks.length && this.blocks[this.filling]!.used + length > this.blocks[this.filling]!.bytes.length)
      this.filling++
    const block = this.blocks[this.filling] ?? { bytes: Buffer.allocUnsafeSlow(Math.max(blockBytes, length)), used: 0 }
    this.blocks[this.filling] = block
    this.bytes += length
    block.used += length
    return block.bytes.subarray(block.used - length, block.used)
  }

  clear(): void {
    this.blocks = this.blocks.filter(({ bytes }) => bytes.length === blockBytes).slice(0, keptBlocks)
    for (const block of this.blocks) block.used = 0
    this.filling = 0
    this.bytes = 0
  }
}

/** Read at once; larger only while a change is. A journal may be as large as the base. */
const readBytes = 1024 * 1024

/** Calls `apply` with each whole change; gives back how many bytes at the end are none. */
export const readJournal = (path: string, apply: (change: RegistryChange) => void): number => {
  const file = openSync(path, "r")
  try {
    let left = fstatSync(file).size
    let buffer = Buffer.allocUnsafeSlow(readBytes)
    let [at, end] = [0, 0]
    /** Whether so many bytes stand at `at`, reading on as far as that needs. `left` counts those behind the last whole change. */
    const has = (length: number): boolean => {
      if (length > left) return false
      if (at + length > buffer.length) {
        const larger = length > buffer.length ? Buffer.allocUnsafeSlow(length) : buffer
        end = buffer.copy(larger, 0, at, end)
        at = 0
        buffer = larger
      }
      while (end < at + length) {
        const count = readSync(file, buffer, end, buffer.length - end, null)
        if (count === 0) return false
        end += count
      }
      return true
    }
    while (has(headBytes)) {
      const length = buffer.readUInt32LE(at)
      // Zeros are what a file system may leave of an append that power loss interrupted; as a change they would have the right checksum.
      if (length === 0 || !has(headBytes + length)) break
      const text = buffer.subarray(at + headBytes, at + headBytes + length)
      if (crc32(text) !== buffer.readUInt32LE(at + 4)) break
      apply(JSON.parse(text.toString()))
      at += headBytes + length
      left -= headBytes + length
    }
    return left
  } finally {
    closeSync(file)
  }
}

export class Journal {
  /** Bytes that the disk has. */
  bytes = 0
  private readonly path: string
  private handle: FileHandle | undefined

  constructor(path: string) {
    this.path = path
  }

  /** Resolves when the disk has them. Rejects when it may have some: they can be appended again, nothing of this attempt is left then. */
  async append(frames: Frames): Promise<void> {
    this.handle ??= await this.open()
    try {
      for (const bytes of frames.written()) await this.handle.appendFile(bytes)
      await this.handle.datasync()
    } catch (error) {
      await this.close()
      throw error
    }
    this.bytes += frames.bytes
  }

  private async open(): Promise<FileHandle> {
    const handle = await open(this.path, "a", 0o600)
    try {
      await handle.truncate(this.bytes)
      await syncFolder(dirname(this.path))
      return handle
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  async close(): Promise<void> {
    const { handle } = this
    this.handle = undefined
    // Whatever counts was fsynced before.
    await handle?.close().catch(() => {})
  }
}
