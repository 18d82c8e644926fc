/**
 * Writes the pieces of a line into a buffer: of the access log, or of a header block.
 *
 * Owns: texts and numbers as bytes. Leaves to its users: that there is room.
 * Built against: a line that V8 joins from twenty strings, and then copies: that costs twice as much as its bytes. Texts have one code unit for each byte.
 */

/** Above this a native copy is quicker than a loop. */
const longText = 15

/** Returns the place behind it. */
export const putText = (out: Buffer, start: number, text: string): number => {
  const { length } = text
  if (length > longText) return start + out.write(text, start, "latin1")
  for (let at = 0; at < length; at++) out[start + at] = text.charCodeAt(at)
  return start + length
}

/** Up to here whole numbers are divided as such, which takes a fraction of the time that the division of fractions does. */
const mostInteger = 0x7fffffff

/** A whole number from 0 to 2^31-1, in decimal, its last `digits` of them; returns the place behind it. */
export const putDigits = (out: Uint8Array, start: number, number: number, digits: number): number => {
  const end = start + digits
  let rest = number | 0
  for (let place = end - 1; place >= start; place--) {
    const tens = (rest / 10) | 0
    out[place] = 48 + (rest - tens * 10)
    rest = tens
  }
  return end
}

/** How many digits a whole number that is not negative has in decimal. */
export const digitsOf = (number: number): number => {
  if (number > mostInteger) return String(number).length
  let digits = 1
  for (let rest = number | 0; rest >= 10; rest = (rest / 10) | 0) digits++
  return digits
}

/** A whole number that is not negative, in decimal; returns the place behind it. */
export const putNumber = (out: Buffer, start: number, number: number): number =>
  number > mostInteger ? putText(out, start, String(number)) : putDigits(out, start, number, digitsOf(number))

/** A number with two digits behind the point. */
export const putHundredths = (out: Buffer, start: number, number: number): number => {
  const all = Math.round(number * 100)
  if (all > mostInteger) return putText(out, start, (all / 100).toFixed(2))
  const whole = ((all | 0) / 100) | 0
  const at = putNumber(out, start, whole)
  out[at] = 46
  return putDigits(out, at + 1, (all | 0) - whole * 100, 2)
}
