/**
 * The dependency rule and the naming rules as a program: `node sandbox/src/checkArchitecture.ts` prints each breach and exits 1.
 *
 * Owns: the rules that ARCHITECTURE.md states. Leaves to the linter: style; to the compiler: types.
 * Built against: a service that reaches into another one, a second NATS client, a folder named utils.
 */
import { readdirSync, readFileSync } from "node:fs"
import { basename, dirname, join, relative, resolve } from "node:path"
import { fileURLToPath } from "node:url"

export interface Breach {
  readonly file: string
  readonly rule: string
}

const forbiddenNames = /^(utils?|commons?|shared|helpers?|misc|types|constants|index)$/i
const maximumLines = 250
const scope = "@connect-domain/"

/** `services/router`, `libs/nats`, `sandbox`, `deploy`, `e2e`, `bench`; providers are workspaces of their own for the rule. */
const homeOf = (file: string): string => {
  const parts = file.split("/")
  if (file.startsWith("services/connector/src/providers/") && parts.length > 5) return parts.slice(0, 5).join("/")
  return ["services", "libs"].includes(parts[0]!) ? parts.slice(0, 2).join("/") : parts[0]!
}

/** Import specifiers of a TypeScript source: static, dynamic, re-exports; not those in comments. */
export const importsIn = (source: string): ReadonlyArray<string> => {
  const code = source.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/[^\n]*/g, "$1")
  const pattern =
    /(?:^|[;\n])\s*(?:import|export)\s(?:[^"';]*?\sfrom\s*)?["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']\s*\)|\brequire\(\s*["']([^"']+)["']\s*\)/g
  return [...code.matchAll(pattern)].map((match) => (match[1] ?? match[2] ?? match[3])!)
}

/** Where an import leads: a workspace, or the package's own name. */
const targetOf = (file: string, specifier: string): string => {
  if (specifier.startsWith(".")) return homeOf(join(dirname(file), specifier))
  if (specifier.startsWith(scope)) {
    const name = specifier.slice(scope.length).split("/")[0]!
    return ["gateway", "lifecycle", "connector", "certifier", "router", "billing", "webhooks"].includes(name)
      ? `services/${name}`
      : name === "sandbox"
        ? name
        : `libs/${name}`
  }
  if (specifier.startsWith("node:")) return specifier
  return specifier.startsWith("@") ? specifier.split("/").slice(0, 2).join("/") : specifier.split("/")[0]!
}

const isTest = (file: string): boolean => /\.test\.ts$|\/(testing|test)\/|^e2e\/|^bench\/|(^|\/)fixtures\//.test(file)

/** What pure libraries may import beside themselves. */
const pure: Readonly<Record<string, ReadonlyArray<string>>> = {
  "libs/domain": ["effect", "tldts"],
  "libs/connection": ["effect", "libs/domain"]
}
/** Parts of Node that only compute: random bytes, host names, address forms. */
const computing = ["node:crypto", "node:net", "node:url"]

/** The files that may know more than the rule allows, each with its reason. */
const exceptions: ReadonlyArray<{ readonly file: RegExp; readonly target: RegExp }> = [
  // The one program that holds all services.
  { file: /^deploy\/all-in-one\/main\.ts$/, target: /^services\// },
  // The registry is a literal map of the provider folders.
  { file: /^services\/connector\/src\//, target: /^services\/connector(\/|$)/ },
  // A key is minted the way the gateway checks it.
  { file: /^sandbox\/src\/createTenant\.ts$/, target: /^services\/gateway$/ }
]

const excepted = (file: string, target: string): boolean => exceptions.some((one) => one.file.test(file) && one.target.test(target))

const importBreach = (file: string, specifier: string): string | undefined => {
  const home = homeOf(file)
  const target = targetOf(file, specifier)
  if (target === home || isTest(file)) return testBreach(file, home, target)
  if (target.startsWith("@nats-io/") && home !== "libs/nats") return "only libs/nats imports @nats-io/*"
  if (target === "postgres" && home !== "libs/database") return "only libs/database imports postgres"
  if (home.startsWith("services/connector/src/providers/")) {
    const allowed = ["libs/domain", "libs/dns-provider", "libs/egress", "effect"]
    if (target.startsWith("node:") || allowed.includes(target) || target === "dns-packet") return undefined
    return "a provider folder imports domain and dns-provider only"
  }
  if (target.startsWith("services/") && !excepted(file, target))
    return home.startsWith("services/") ? "no service imports another" : `${home} imports no service`
  if (home.startsWith("libs/") && ["sandbox", "deploy", "e2e", "bench"].includes(target)) return `a library does not import ${target}`
  const allowed = pure[home]
  if (allowed !== undefined && ![...allowed, ...computing].includes(target)) return `${home} imports ${allowed.join(" and ")} only`
  return undefined
}

/** Tests may start servers of any library, but never another service. */
const testBreach = (file: string, home: string, target: string): string | undefined =>
  home.startsWith("services/") &&
  target.startsWith("services/") &&
  !target.startsWith(home) &&
  !home.startsWith(target) &&
  !excepted(file, target)
    ? "no service imports another"
    : undefined

const nameBreaches = (file: string): ReadonlyArray<string> =>
  file
    .split("/")
    .map((part) => basename(part, ".ts"))
    .filter((part) => forbiddenNames.test(part))
    .map((part) => `nothing is named '${part}'`)

/** Breaches in one file; `file` is relative to the repository's root. */
export const checkFile = (file: string, source: string): ReadonlyArray<Breach> => {
  const rules = [...nameBreaches(file), ...importsIn(source).flatMap((specifier) => importBreach(file, specifier) ?? [])]
  const lines = source.split("\n").length - 1
  if (lines > maximumLines && !isTest(file)) rules.push(`${lines} lines; a file has ${maximumLines} at most`)
  if (/^(libs|services|sandbox|deploy)\//.test(file) && !isTest(file) && !/^(#![^\n]*\n)?\s*\/\*\*/.test(source)) {
    rules.push("a module opens with what it owns, in a /** comment")
  }
  return [...new Set(rules)].map((rule) => ({ file, rule }))
}

export const checkRepository = (root: string): ReadonlyArray<Breach> =>
  ["libs", "services", "sandbox", "deploy", "e2e", "bench"].flatMap((folder) => {
    let files: ReadonlyArray<string>
    try {
      files = readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    } catch {
      return []
    }
    return files
      .filter((file) => /\.(ts|js|mjs)$/.test(file) && !/(^|\/)node_modules\//.test(file))
      .map((file) => relative(root, resolve(root, folder, file)))
      .sort()
      .flatMap((file) => checkFile(file, readFileSync(join(root, file), "utf8")))
  })

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const breaches = checkRepository(resolve(fileURLToPath(new URL("../..", import.meta.url))))
  for (const { file, rule } of breaches) console.log(`${file}: ${rule}`)
  console.log(breaches.length === 0 ? "architecture: no breach" : `architecture: ${breaches.length} breaches`)
  process.exitCode = breaches.length === 0 ? 0 : 1
}
