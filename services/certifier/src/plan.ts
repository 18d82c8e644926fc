/**
 * The planner: `node services/certifier/src/plan.ts --hostnames FILE [--caa]` says how many days first certificates for these names take, from
 * which CAs, and why. FILE has one name a line; `-` is the standard input. The CAs and their limits are those of the environment
 * (CD_ACME_DIRECTORY, CD_ACME_LIMITS). Nothing is ordered. With `--caa` the connector is asked for every name's CAA records (NATS_URL,
 * CD_OPERATOR_NATS_SEED) and the CAs for their directories; without it nobody is asked anything.
 *
 * Owns: reading names, the words. Leaves to `planIssuance.ts`: the answer; to `planCaa.ts`: which CA may issue.
 */
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { baseOf } from "@connect-domain/domain/Hostname.ts"
import { Calls } from "@connect-domain/nats/Calls.ts"
import { Nats } from "@connect-domain/nats/Nats.ts"
import { Effect, Layer } from "effect"
import { getDomain } from "tldts"
import { acmeDirectories, nameOf } from "./acmeDirectories.ts"
import { type Limit, limitsOf } from "./caLimits.ts"
import { internalDirectory } from "./issuerOrigin.ts"
import { lookPermissions } from "./planCaa.ts"
import { type IssuancePlan, planIssuance } from "./planIssuance.ts"

const count = (number: number): string => number.toLocaleString("en")
const spanOf = (seconds: number): string =>
  seconds >= 2 * 86_400 ? `${(seconds / 86_400).toFixed(1)} days` : `${(seconds / 3_600).toFixed(1)} hours`

const ruleOf = ({ name, per, max, window_seconds }: Limit): string =>
  `${name} (${count(max)} per ${per.replaceAll("-", " ")} in ${spanOf(window_seconds).replace(/\.0 /, " ")})`

/** Names of a file, each once, lower-case; lines that can have no certificate apart. */
export const readHostnames = (text: string) => {
  const lines = [...new Set(text.split(/\r?\n/).map((line) => line.trim().toLowerCase().replace(/\.$/, "")))].filter((line) => line !== "")
  const isName = (line: string) => getDomain(baseOf(line), { allowPrivateDomains: true, validateHostname: true }) !== null
  return { names: lines.filter(isName), others: lines.filter((line) => !isName(line)) }
}

/** What is printed. */
export const explainPlan = (plan: IssuancePlan): ReadonlyArray<string> => {
  const lines = [`${count(plan.names)} names under ${count(plan.domains)} registrable domains`]
  if (plan.names === 0) return lines
  lines.push(
    plan.seconds === 0
      ? "no limit stands in the way: as fast as the CAs answer"
      : `${spanOf(plan.seconds)} until the last one has its certificate`
  )
  for (const { name, names, forbidden, lastAt, heldBackBy } of plan.authorities) {
    const until = lastAt === undefined ? "" : `, the last after ${spanOf(lastAt)}`
    const why = heldBackBy.length === 0 ? "never held back" : `held back by ${heldBackBy.slice(0, 2).map(ruleOf).join(", then ")}`
    const caa = forbidden === 0 ? "" : `; CAA forbids it ${count(forbidden)}`
    lines.push(
      names === 0 ? `  ${name}: none${forbidden === 0 ? " needed" : caa}` : `  ${name}: ${count(names)} names${until}; ${why}${caa}`
    )
  }
  const [never] = plan.forbidden
  if (never !== undefined)
    lines.push(`${count(plan.forbidden.length)} names can have none: their CAA records forbid every CA here, for example ${never}`)
  const { lastDomain } = plan
  if (plan.seconds > 0 && lastDomain !== undefined)
    lines.push(`the last registrable domain is ${lastDomain.domain} with ${count(lastDomain.names)} names`)
  lines.push("renewals that name what they replace (RFC 9773) are exempt and not counted")
  return lines
}

const asOperator = Calls.layer.pipe(Layer.provide(Nats.layer("operator")))

const run = Effect.gen(function* () {
  const { values } = parseArgs({ options: { hostnames: { type: "string" }, caa: { type: "boolean", default: false } } })
  if (values.hostnames === undefined) return yield* Effect.fail(new Error("--hostnames FILE is missing"))
  const { names, others } = readHostnames(readFileSync(values.hostnames === "-" ? 0 : values.hostnames, "utf8"))
  const limits = yield* limitsOf
  const { live } = yield* acmeDirectories
  const authorities = live.map((directory) => ({
    name: nameOf(directory),
    limits: directory === internalDirectory ? [] : limits(directory)
  }))
  const looked = values.caa ? yield* lookPermissions(names, live).pipe(Effect.provide(asOperator), Effect.scoped) : undefined
  for (const line of explainPlan(planIssuance(names, authorities, looked?.permission))) console.log(line)
  if (looked !== undefined && looked.unknown > 0)
    console.log(`the CAA records of ${count(looked.unknown)} names could not be read; taken as if there were none`)
  if (others.length > 0) console.log(`${count(others.length)} lines are no host names, for example ${others[0]}`)
})

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await Effect.runPromise(run).catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : String(error))
    process.exitCode = 1
  })
}
