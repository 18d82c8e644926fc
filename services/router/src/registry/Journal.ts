/**
 * A file of changes, appended to and fsynced.
 *
 * Owns: the format, telling a torn end from changes, and cutting one off before anything is written behind it. Leaves to `JournalWriter.ts`: what
 * is written when; to `Snapshot.ts`: which files there are. Built against: kill -9 at any byte, a disk that is full in the middle of a change.
 *
 * Format: for each change length and CRC-32 (32 bits each, little endian) and JSON. Reading ends at the first change that is not whole. Each
 * process begins a file of its own.
 */
import { readFileSync } from "node:fs"
import { type FileHandle, open } from "node:fs/promises"
import { dirname } from "node:path"
import { crc32 } from "node:zlib"
import type { RegistryChange } from "./RegistryJournal.ts"
import { syncFolder } from "./syncFolder.ts"

const headBytes = 8

export const frameOf = (change: RegistryChange): Buffer => {
  const text = Buffer.from(JSON.stringify(change))
  const frame = Buffer.allocUnsafe(headBytes + text.length)
  frame.writeUInt32LE(text.length, 0)
  frame.writeUInt32LE(crc32(text), 4)
  text.copy(frame, headBytes)
  return frame
}

/** Calls `apply` with each whole change; gives back how many bytes at the end are none. */
export const readJournal = (path: string, apply: (change: RegistryChange) => void): number => {
  const bytes = readFileSync(path)
  let at = 0
  while (at + headBytes <= bytes.length) {
    const length = bytes.readUInt32LE(at)
    const end = at + headBytes + length
    // Zeros are what a file system may leave of an append that power loss interrupted; as a change they would have the right checksum.
    if (length === 0 || end > bytes.length) break
    const text = bytes.subarray(at + headBytes, end)
    if (crc32(text) !== bytes.readUInt32LE(at + 4)) break
    apply(JSON.parse(text.toString()))
    at = end
  }
  return bytes.length - at
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
  async append(frames: ReadonlyArray<Buffer>): Promise<void> {
    this.handle ??= await this.open()
    const bytes = Buffer.concat(frames)
    try {
      await this.handle.appendFile(bytes)
      await this.handle.datasync()
    } catch (error) {
      await this.close()
      throw error
    }
    this.bytes += bytes.length
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
