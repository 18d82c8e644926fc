/** The static table of HPACK (RFC 7541 Appendix A): name, value, from index 1 on. */
const rows: ReadonlyArray<readonly [string, string]> = [
  ...([
    [":authority", ""],
    [":method", "GET"],
    [":method", "POST"],
    [":path", "/"],
    [":path", "/index.html"]
  ] as const),
  ...([
    [":scheme", "http"],
    [":scheme", "https"],
    [":status", "200"],
    [":status", "204"],
    [":status", "206"],
    [":status", "304"]
  ] as const),
  ...([
    [":status", "400"],
    [":status", "404"],
    [":status", "500"],
    ["accept-charset", ""],
    ["accept-encoding", "gzip, deflate"]
  ] as const),
  ...([
    ["accept-language", ""],
    ["accept-ranges", ""],
    ["accept", ""],
    ["access-control-allow-origin", ""],
    ["age", ""]
  ] as const),
  ...([
    ["allow", ""],
    ["authorization", ""],
    ["cache-control", ""],
    ["content-disposition", ""],
    ["content-encoding", ""]
  ] as const),
  ...([
    ["content-language", ""],
    ["content-length", ""],
    ["content-location", ""],
    ["content-range", ""],
    ["content-type", ""]
  ] as const),
  ...([
    ["cookie", ""],
    ["date", ""],
    ["etag", ""],
    ["expect", ""],
    ["expires", ""],
    ["from", ""],
    ["host", ""],
    ["if-match", ""]
  ] as const),
  ...([
    ["if-modified-since", ""],
    ["if-none-match", ""],
    ["if-range", ""],
    ["if-unmodified-since", ""],
    ["last-modified", ""]
  ] as const),
  ...([
    ["link", ""],
    ["location", ""],
    ["max-forwards", ""],
    ["proxy-authenticate", ""],
    ["proxy-authorization", ""],
    ["range", ""]
  ] as const),
  ...([
    ["referer", ""],
    ["refresh", ""],
    ["retry-after", ""],
    ["server", ""],
    ["set-cookie", ""],
    ["strict-transport-security", ""]
  ] as const),
  ...([
    ["transfer-encoding", ""],
    ["user-agent", ""],
    ["vary", ""],
    ["via", ""],
    ["www-authenticate", ""]
  ] as const)
]

export const staticNames: ReadonlyArray<string> = ["", ...rows.map(([name]) => name)]
export const staticValues: ReadonlyArray<string> = ["", ...rows.map(([, value]) => value)]
export const staticLength = rows.length

/** Name → its first index. */
export const staticIndexOf: ReadonlyMap<string, number> = new Map([...rows].reverse().map(([name], at) => [name, rows.length - at]))
