/**
 * The registry's base file: all pages of the compact stores, as they stand in memory.
 *
 * Owns: the format, its checksums, writing it beside the running edge and reading it. Leaves to `Snapshot.ts`: names of files and the journal.
 * Built against: a start that decodes a million JSON lines, a loop that stands still while a gigabyte is written, and bits that changed on disk.
 *
 * Format: `CDEDGE02`, length and CRC-32 of a JSON head (both 32 bits, little endian), the head, then each page's bytes. The head names the first
 * journal whose changes are not in here, the completed epochs, the stores' seeds, the issuers, and each page with its length. Behind each page stands
 * its CRC-32.
 * A page is copied at once, but not all pages at the same moment: whatever changes from the beginning on stands in that journal.
 */
import { closeSync, openSync, readSync } from "node:fs"
import { type FileHandle, open } from "node:fs/promises"
import { crc32 } from "node:zlib"
import { Holdings } from "./Holdings.ts"
import { Reference } from "./store/likeness.ts"

const magic = "CDEDGE02"

interface Head {
  readonly journal: number
  readonly seeds: { readonly names: number; readonly certificates: number }
  readonly issuers: ReadonlyArray<{ readonly id: number; readonly above: ReadonlyArray<string>; readonly reference: string }>
  /** Absent in a base of an edge that did not know of them yet. */
  readonly epochs?: ReadonlyArray<string>
  readonly pages: ReadonlyArray<{ readonly of: "names" | "certificates"; readonly used: number }>
}

const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

/** Writes and fsyncs `path`; gives back its size in bytes. What `holdings` were at the call is in it, or in journal `journal` and later ones. */
export const writeBase = async (path: string, holdings: Holdings, journal: number, signal: AbortSignal): Promise<number> => {
  const stores = [holdings.names, holdings.certificates]
  for (const store of stores) store.pages.pins++
  try {
    const pages = (["names", "certificates"] as const).flatMap((of) => holdings[of].pages.filled().map((each) => ({ of, ...each })))
    const head: Head = {
      ...{ journal, epochs: holdings.epochs, seeds: { names: holdings.names.seed, certificates: holdings.certificates.seed } },
      issuers: [...holdings.issuers].map(({ id, above, reference }) => ({
        ...{ id, above: above.map((each) => each.toString("base64")) },
        reference: reference.bytes.toString("base64")
      })),
      pages: pages.map(({ of, used }) => ({ of, used }))
    }
    const text = Buffer.from(JSON.stringify(head))
    const file = await open(path, "w", 0o600)
    try {
      await write(file, Buffer.concat([Buffer.from(magic), uint32(text.length), uint32(crc32(text)), text]))
      let size = text.length
      // One for all pages: a base of a gigabyte would leave as much garbage outside of the heap.
      const buffer = Buffer.allocUnsafeSlow(Math.max(0, ...pages.map(({ used }) => used)) + 4)
      for (const { page, used } of pages) {
        signal.throwIfAborted()
        const copy = buffer.subarray(0, used + 4)
        page.bytes.copy(copy, 0, 0, used)
        copy.writeUInt32LE(crc32(copy.subarray(0, used)), used)
        await write(file, copy)
        size += used
      }
      await file.sync()
      return size
    } finally {
      await file.close()
    }
  } finally {
    for (const store of stores) store.pages.pins--
  }
}

const write = async (file: FileHandle, bytes: Buffer): Promise<void> => {
  for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at)).bytesWritten
}

export interface Base {
  readonly holdings: Holdings
  /** The first journal to be read. */
  readonly journal: number
  readonly bytes: number
}

/** Reads a base file. Throws, with a sentence, for one that is not whole: nothing of it is used then. */
export const readBase = (path: string): Base => {
  const file = openSync(path, "r")
  try {
    const start = read(file, 16)
    if (start.toString("latin1", 0, 8) !== magic) throw new Error("it is no base file of this version")
    const text = read(file, start.readUInt32LE(8))
    if (crc32(text) !== start.readUInt32LE(12)) throw new Error("the checksum of its head is wrong")
    const head = JSON.parse(text.toString()) as Head
    const holdings = new Holdings(head.seeds)
    holdings.epochs = head.epochs ?? []
    for (const { id, above, reference } of head.issuers)
      holdings.issuers.add({
        ...{ id, above: above.map((each) => Buffer.from(each, "base64")) },
        reference: new Reference(Buffer.from(reference, "base64"))
      })
    let bytes = text.length
    for (const [at, { of, used }] of head.pages.entries()) {
      const page = read(file, used)
      if (crc32(page) !== read(file, 4).readUInt32LE()) throw new Error(`the checksum of page ${at} is wrong`)
      holdings.adopt(of, page)
      bytes += used
    }
    return { holdings, journal: head.journal, bytes }
  } finally {
    closeSync(file)
  }
}

const maxRead = 256 * 1024 * 1024

const read = (file: number, length: number): Buffer => {
  if (length > maxRead) throw new Error("it names a page that is too long")
  const bytes = Buffer.allocUnsafeSlow(length)
  for (let at = 0; at < length; ) {
    const count = readSync(file, bytes, at, length - at, null)
    if (count === 0) throw new Error("it ends too early")
    at += count
  }
  return bytes
}
