/**
 * The Huffman code of HPACK (RFC 7541 §5.2, Appendix B).
 *
 * Owns: decoding, four bits a step. The code is canonical, so the lengths of Appendix B say all of it. Leaves encoding away: a plain literal is
 * always allowed, and costs the edge less than it saves. Built against: padding that is no prefix of EOS, or longer than seven bits.
 */
const lengths = [
  ...[13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28],
  ...[6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10],
  ...[13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6],
  ...[15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28],
  ...[20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24],
  ...[22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23],
  ...[26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27],
  ...[20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26],
  30
]
const eos = 256

interface Node {
  readonly next: [Node | number | undefined, Node | number | undefined]
}

const buildTree = (): Node => {
  const root: Node = { next: [undefined, undefined] }
  const symbols = lengths.map((length, symbol) => ({ length, symbol })).sort((a, b) => a.length - b.length || a.symbol - b.symbol)
  let code = 0
  let before = symbols[0]!.length
  for (const { length, symbol } of symbols) {
    code = code * 2 ** (length - before)
    before = length
    let node = root
    for (let bit = length - 1; bit > 0; bit--) {
      const side = Math.floor(code / 2 ** bit) & 1
      node.next[side] ??= { next: [undefined, undefined] }
      node = node.next[side] as Node
    }
    node.next[code & 1] = symbol
    code++
  }
  return root
}

const failed = 0xffff
const noSymbol = 0x1ff
/** For state × nibble: next state in the low 16 bits, the symbol that was completed above them. */
const steps = new Uint32Array(257 * 16)
/** States in which the text may end: at the root, or within at most seven one-bits of padding. */
const mayEnd = new Uint8Array(257)

const buildSteps = (): void => {
  const states = [buildTree()]
  const numbers = new Map<Node, number>([[states[0]!, 0]])
  const numberOf = (node: Node): number => {
    const known = numbers.get(node)
    if (known !== undefined) return known
    numbers.set(node, states.length)
    return states.push(node) - 1
  }
  for (let state = 0; state < states.length; state++) {
    for (let nibble = 0; nibble < 16; nibble++) {
      let node = states[state]!
      let symbol = noSymbol
      for (let bit = 3; bit >= 0 && symbol !== failed; bit--) {
        const next = node.next[((nibble >> bit) & 1) as 0 | 1]
        if (next === undefined || next === eos) symbol = failed
        else if (typeof next === "number") {
          symbol = next
          node = states[0]!
        } else node = next
      }
      steps[state * 16 + nibble] = symbol === failed ? failed : numberOf(node) | (symbol << 16)
    }
  }
  let padding: Node | number | undefined = states[0]
  for (let bits = 0; bits < 8 && typeof padding === "object"; bits++) {
    mayEnd[numbers.get(padding) ?? 256] = 1
    padding = padding.next[1]
  }
}
buildSteps()

const scratch = Buffer.allocUnsafe(64 * 1024)

/** The text of `bytes[start..end)`, latin1; undefined when it is not properly coded. */
export const decodeHuffman = (bytes: Buffer, start: number, end: number): string | undefined => {
  let state = 0
  let length = 0
  if ((end - start) * 2 > scratch.length) return undefined
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!
    for (let shift = 4; shift >= 0; shift -= 4) {
      const step = steps[state * 16 + ((byte >> shift) & 15)]!
      state = step & 0xffff
      if (state === failed) return undefined
      const symbol = step >>> 16
      if (symbol !== noSymbol) scratch[length++] = symbol
    }
  }
  return mayEnd[state] === 1 ? scratch.toString("latin1", 0, length) : undefined
}
