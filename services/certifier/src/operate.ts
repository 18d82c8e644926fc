/**
 * The operator's command line, over the operator's calls: `node services/certifier/src/operate.ts <command> …`
 *
 *   replace [--ca C] [--challenge T] [--since T] [--until T] [--serial HEX] --reason WORDS [--dry-run]
 *   revoke (--serial HEX | --connection ID) [--reason keyCompromise] [--dry-run]
 *   roll-account-key --ca C
 *   failing [--limit 100] [--after CURSOR]
 *
 * Reads NATS_URL and CD_OPERATOR_NATS_SEED. Owns: words and options. Leaves to `operations/`: everything else.
 */
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { listFailing, replaceCertificates, revokeCertificates, rollAccountKey } from "@connect-domain/messages/certifier.ts"
import { CallError, Calls } from "@connect-domain/nats/Calls.ts"
import { Nats } from "@connect-domain/nats/Nats.ts"
import { Effect, Layer } from "effect"
import { type RevocationReason, reasonCodes } from "./operations/Revocations.ts"

const options = {
  ca: { type: "string" },
  challenge: { type: "string" },
  since: { type: "string" },
  until: { type: "string" },
  serial: { type: "string" },
  connection: { type: "string" },
  reason: { type: "string" },
  limit: { type: "string", default: "100" },
  after: { type: "string" },
  "dry-run": { type: "boolean", default: false }
} as const

const usage = "commands: replace, revoke, roll-account-key, failing; see the head of services/certifier/src/operate.ts"
const wrong = (message: string) => new CallError({ code: "invalid", message })

const replace = Effect.fnUntraced(function* (calls: Calls["Service"], values: Values) {
  const { ca = null, challenge = null, since = null, until = null, reason } = values
  if (reason === undefined) return yield* wrong("--reason is missing: it is kept with every certificate that is replaced")
  const filter = { ca, challenge, since, until, serial: serialOf(values), reason, dry_run: values["dry-run"] }
  const { matching } = yield* calls.request(replaceCertificates, filter)
  return [`${matching} certificates ${values["dry-run"] ? "would be" : "are being"} replaced; each is served until its successor is`]
})

const revoke = Effect.fnUntraced(function* (calls: Calls["Service"], values: Values) {
  const reason = values.reason ?? "unspecified"
  if (!Object.hasOwn(reasonCodes, reason)) return yield* wrong(`--reason is one of ${Object.keys(reasonCodes).join(", ")}`)
  const ask = { serial: serialOf(values), connection_id: values.connection ?? null, dry_run: values["dry-run"] }
  const { matching } = yield* calls.request(revokeCertificates, { ...ask, reason: reason as RevocationReason })
  const when = reason === "keyCompromise" ? "now" : "once its successor is served"
  return [`${matching} certificates ${values["dry-run"] ? "would be" : "are"} revoked, each ${when}; what is served is replaced`]
})

const roll = Effect.fnUntraced(function* (calls: Calls["Service"], values: Values) {
  if (values.ca === undefined) return yield* wrong("--ca is missing: letsencrypt, or the directory's host")
  const { account, thumbprint } = yield* calls.request(rollAccountKey, { ca: values.ca })
  return [`account ${account} has a new key, thumbprint ${thumbprint}`]
})

const failing = Effect.fnUntraced(function* (calls: Calls["Service"], values: Values) {
  const page = yield* calls.request(listFailing, { after: values.after ?? null, limit: Number(values.limit) || 100 })
  if (page.failing.length === 0) return ["nothing fails"]
  const lines = page.failing.map((each) => {
    const next = each.paused_until === null ? `next attempt ${each.next_attempt_at ?? "now"}` : `paused until ${each.paused_until}`
    const served = each.not_after === null ? "nothing served" : `served until ${each.not_after}`
    return `${each.hostname}  ${each.failures}×  ${each.kind ?? ""}  ${served}  ${next}\n    ${each.last_error ?? ""}`
  })
  return typeof page.next === "string" ? [...lines, `more: --after ${page.next}`] : lines
})

type Values = ReturnType<typeof read>["values"]
const read = (args: ReadonlyArray<string>) => parseArgs({ args: [...args], options, allowPositionals: true })
const serialOf = ({ serial }: Values): string | null => serial?.replaceAll(":", "").toLowerCase() ?? null
const commands = { replace, revoke, "roll-account-key": roll, failing } as const

/** The lines to print. */
export const operate = Effect.fnUntraced(function* (args: ReadonlyArray<string>) {
  const { values, positionals } = yield* Effect.try({ try: () => read(args), catch: (error) => wrong((error as Error).message) })
  const [name = ""] = positionals
  if (!Object.hasOwn(commands, name)) return yield* wrong(usage)
  return yield* commands[name as keyof typeof commands](yield* Calls, values)
})

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const work = operate(process.argv.slice(2)).pipe(Effect.provide(Calls.layer.pipe(Layer.provide(Nats.layer("operator")))), Effect.scoped)
  await Effect.runPromise(work as Effect.Effect<ReadonlyArray<string>, unknown>).then(
    (lines) => console.log(lines.join("\n")),
    (error: unknown) => {
      console.error(error instanceof Error ? error.message : String(error))
      process.exitCode = 1
    }
  )
}
