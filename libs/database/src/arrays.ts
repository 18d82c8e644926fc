/**
 * Arrays of the built-in types, as text on the wire (PostgreSQL manual, 8.15.6).
 *
 * Owns: reading and writing one-dimensional arrays. Built against the driver's way (postgres.js 3.4.9, checked 2026-11): it asks the server
 * for the types when it connects, and a connection that is lost during that question ends the whole process.
 */

/** Element type → array type, by object id: the same in every PostgreSQL (src/include/catalog/pg_type.dat). */
export const arrayTypes: ReadonlyArray<readonly [element: number, array: number]> = [
  [16, 1000], // bool
  [17, 1001], // bytea
  [20, 1016], // int8
  [21, 1005], // int2
  [23, 1007], // int4
  [25, 1009], // text
  [114, 199], // json
  [701, 1022], // float8
  [869, 1041], // inet
  [1043, 1015], // varchar
  [1082, 1182], // date
  [1114, 1115], // timestamp
  [1184, 1185], // timestamptz
  [1700, 1231], // numeric
  [2950, 2951], // uuid
  [3802, 3807] // jsonb
]

/** `{a,"b c",NULL}` → the elements, each read by `parse`. */
export const parseArray = (text: string, parse: (element: string) => unknown): ReadonlyArray<unknown> => {
  const result: Array<unknown> = []
  // `[2:3]={…}`: bounds that do not start at one.
  let at = text.indexOf("{") + 1
  while (at < text.length && text[at] !== "}") {
    let element = ""
    const quoted = text[at] === '"'
    if (quoted) at++
    while (at < text.length && (quoted ? text[at] !== '"' : text[at] !== "," && text[at] !== "}")) {
      if (text[at] === "\\") at++
      element += text[at++]
    }
    if (quoted) at++
    result.push(!quoted && element === "NULL" ? null : parse(element))
    if (text[at] === ",") at++
  }
  return result
}

/** The elements, each written by `serialize`, as `{"a","b c",NULL}`. */
export const serializeArray = (values: ReadonlyArray<unknown>, serialize: (element: unknown) => string): string =>
  `{${values
    .map((value) => (value === null || value === undefined ? "NULL" : `"${serialize(value).replace(/\\/g, "\\\\").replace(/"/g, '\\"')}"`))
    .join(",")}}`
