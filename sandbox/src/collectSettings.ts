/**
 * Gathers every environment variable from where it is declared: `Config.<Kind>("NAME")` in the code, with the comment above as meaning.
 *
 * Owns: reading declarations and the page made of them. Leaves to each file: declaring what it configures, with its default.
 * A declaration is the exported constant with a comment directly above; `withDefault` gives the default. Names built from a service's name
 * (`CD_${…}_NATS_SEED`) are shown as `CD_<SERVICE>_…`. Built against: a table kept by hand that is wrong after a month; an undocumented
 * setting fails the test beside this file.
 */
import { readdirSync, readFileSync } from "node:fs"
import { join, relative } from "node:path"
import { portTable } from "./ports.ts"

export interface Setting {
  readonly name: string
  readonly default: string | undefined
  readonly meaning: string
  readonly places: ReadonlyArray<string>
}

const declaration =
  /Config\.(?!all|option|withDefault|map|nested|orElse|succeed|fail|unwrap)[A-Za-z]+\(\s*(?:[^()"'`]*(?:\([^()]*\)[^()"'`]*)*,\s*)?(["`])([A-Z][A-Z0-9_]*(?:\$\{[^}]*\}[A-Z0-9_]*)*)\1\s*\)/g
const literalsFirst = /Config\.(?:Literals|schema)\([\s\S]{0,200}?,\s*(["`])([A-Z][A-Z0-9_]+)\1\s*\)/g

export const sourceFiles = (root: string): ReadonlyArray<string> =>
  ["libs", "services", "deploy", "sandbox"].flatMap((folder) => {
    try {
      return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
        .filter((file) => file.endsWith(".ts") && !/\.test\.ts$|(^|\/)(node_modules|testing)\//.test(file))
        .map((file) => join(root, folder, file))
    } catch {
      return []
    }
  })

/** The comment that ends right above the statement in which the declaration stands. */
const commentAbove = (text: string, at: number): string => {
  const before = text.slice(0, at)
  const start = before.lastIndexOf("*/")
  if (start === -1) return ""
  const between = before.slice(start + 2)
  // Another statement in between, or a blank line: the comment belongs to something else.
  if (/\n\s*\n/.test(between) || (between.match(/\n/g)?.length ?? 0) > 8) return ""
  const comment = before.slice(before.lastIndexOf("/*"), start)
  return comment
    .replace(/^\/\*+/, "")
    .replace(/^\s*\*\s?/gm, "")
    .replace(/\s+/g, " ")
    .trim()
}

/** The text up to the parenthesis that closes the one before `at`. */
const argumentAt = (text: string, at: number): string => {
  let depth = 1
  let end = at
  while (end < text.length && depth > 0) {
    if (text[end] === "(") depth++
    if (text[end] === ")") depth--
    end++
  }
  return text.slice(at, end - 1).trim()
}

/** As a person would write it in an environment variable; undefined for what only code can say (the comment does then). */
const readable = (expression: string): string | undefined => {
  const plain = expression.replace(/\s+as\s+const$/, "").replace(/^(\d)_(\d)/g, "$1$2")
  const duration = /^Duration\.(\w+)\(([\d_]+)\)$/.exec(plain)
  if (duration) return `${duration[2]!.replaceAll("_", "")} ${duration[1]}`
  const text = /^"(.*)"$/.exec(plain)
  if (text) return text[1] === "" ? undefined : text[1]
  return /^(-?[\d_.]+|true|false)$/.test(plain) ? plain.replaceAll("_", "") : undefined
}

/** The default within the same declaration: before the next one and before a blank line. */
const defaultAfter = (text: string, at: number): string | undefined => {
  const rest = text.slice(at, at + 400)
  const limit = Math.min(
    ...[/\n\s*\n/, /Config\.(?!withDefault|map|option)[A-Za-z]+\(/].map((end) => rest.search(end)).filter((end) => end !== -1),
    rest.length
  )
  const found = rest.indexOf("Config.withDefault(")
  return found === -1 || found > limit ? undefined : readable(argumentAt(rest, found + "Config.withDefault(".length))
}

const inFile = (root: string, file: string): ReadonlyArray<Setting> => {
  const text = readFileSync(file, "utf8")
  const found = new Map<number, string>()
  for (const pattern of [declaration, literalsFirst]) {
    for (const match of text.matchAll(pattern)) found.set(match.index + match[0].length, match[2]!.replace(/\$\{[^}]*\}/g, "<SERVICE>"))
  }
  const starts = new Map(
    [...text.matchAll(declaration), ...text.matchAll(literalsFirst)].map((match) => [match.index + match[0].length, match.index])
  )
  return [...found].map(([end, name]) => {
    const meaning = commentAbove(text, starts.get(end)!)
    return { name, default: defaultAfter(text, end), meaning, places: [relative(root, file)] }
  })
}

const own: ReadonlyArray<Setting> = [
  ...Object.values(portTable).map((port) => ({
    name: port.variable,
    default: String(port.default),
    meaning: `Port of the sandbox: ${port.meaning}.`,
    places: ["sandbox/src/ports.ts"]
  })),
  {
    name: "CD_PORTS",
    default: undefined,
    meaning: "`auto`: the sandbox chooses free ports and keeps them.",
    places: ["sandbox/src/ports.ts"]
  },
  {
    name: "CD_DEV_DIR",
    default: ".dev",
    meaning: "Folder of the sandbox's data; another one is another sandbox.",
    places: ["sandbox/src/DevDirectory.ts"]
  },
  {
    name: "CD_PDNS_ADDRESS",
    default: undefined,
    meaning: "`ip:port` of a PowerDNS server to use as the sandbox's DNS.",
    places: ["sandbox/src/supervise.ts"]
  },
  {
    name: "CD_PDNS_API_URL",
    default: undefined,
    meaning: "That server's HTTP address, before `/api/v1`.",
    places: ["sandbox/src/supervise.ts"]
  },
  { name: "CD_PDNS_API_KEY", default: undefined, meaning: "That server's API key.", places: ["sandbox/src/supervise.ts"] }
]

/** One entry per name, sorted; the first documented declaration gives the meaning. */
export const collectSettings = (root: string): ReadonlyArray<Setting> => {
  const byName = new Map<string, Setting>()
  for (const setting of [...sourceFiles(root).flatMap((file) => inFile(root, file)), ...own]) {
    const known = byName.get(setting.name)
    byName.set(setting.name, {
      name: setting.name,
      default: known?.default ?? setting.default,
      meaning: known?.meaning || setting.meaning,
      places: [...new Set([...(known?.places ?? []), ...setting.places])]
    })
  }
  return [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
}

const cell = (text: string): string => text.replaceAll("|", "\\|")

export const configurationPage = (settings: ReadonlyArray<Setting>): string =>
  [
    "# Configuration",
    "",
    "Every environment variable, gathered from the code by `./dev config --write`. Don't edit this page.",
    "",
    "| variable | default | meaning | declared in |",
    "|---|---|---|---|",
    ...settings.map(
      (one) =>
        `| \`${one.name}\` | ${one.default === undefined ? "" : `\`${cell(one.default)}\``} | ${cell(one.meaning)} | ${one.places.map((place) => `\`${place}\``).join(", ")} |`
    ),
    ""
  ].join("\n")
