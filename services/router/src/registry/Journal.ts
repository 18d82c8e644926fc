/**
 * A file of changes, appended to and fsynced.
 *
 * Owns: the format, and telling a torn end from changes. Leaves to `Snapshot.ts`: which files there are. Built against: kill -9 at any byte.
 *
 * Format: for each change length and CRC-32 (32 bits each, little endian) and JSON. Reading ends at the first change that is not whole; nothing
 * is ever appended behind one, since each process begins a file of its own.
 */
import { readFileSync } from "node:fs"
import { type FileHandle, open } from "node:fs/promises"
import { crc32 } from "node:zlib"
import type { RegistryChange } from "./RegistryJournal.ts"

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
    const end = at + headBytes + bytes.readUInt32LE(at)
    if (end > bytes.length) break
    const text = bytes.subarray(at + headBytes, end)
    if (crc32(text) !== bytes.readUInt32LE(at + 4)) break
    apply(JSON.parse(text.toString()))
    at = end
  }
  return bytes.length - at
}

export class Journal {
  /** Bytes written so far. */
  bytes = 0
  private readonly path: string
  private handle: FileHandle | undefined

  constructor(path: string) {
    this.path = path
  }

  /** Resolves when the disk has them. */
  async append(frames: ReadonlyArray<Buffer>): Promise<void> {
    this.handle ??= await open(this.path, "a", 0o600)
    const bytes = Buffer.concat(frames)
    await this.handle.appendFile(bytes)
    await this.handle.datasync()
    this.bytes += bytes.length
  }

  async close(): Promise<void> {
    await this.handle?.close()
    this.handle = undefined
  }
}
