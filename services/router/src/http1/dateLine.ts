/** The Date of an answer that has none yet (RFC 9110 §6.6.1), made once a second. */
let second = 0
let line = ""

/** With its CRLF. */
export const dateLine = (): string => {
  const now = Math.floor(Date.now() / 1000)
  if (now !== second) {
    second = now
    line = `Date: ${new Date(now * 1000).toUTCString()}\r\n`
  }
  return line
}
