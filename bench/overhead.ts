/**
 * What we add to a certificate beyond the CA's own time: from the wish on NATS to the notice that it is served, less the time that requests
 * spent at the CA.
 *
 * `node bench/overhead.ts [--count 50]`
 * Needs no sandbox: the whole certifier with a Postgres, a NATS, a Pebble (5 % of nonces refused, no sleep) and an edge that answers HTTP-01,
 * one name after the other. The CA's time is the time in which at least one request was on its way to the CA or at it (undici's own events);
 * the waits between two questions whether a proof is valid count as ours.
 */
import { channel } from "node:diagnostics_channel"
import { parseArgs } from "node:util"
import { Effect } from "effect"
import { eventually } from "../services/certifier/test/eventually.ts"
import { ask, makeWorld } from "../services/certifier/test/World.ts"
import { quantile, report } from "./report.ts"

const { values } = parseArgs({ options: { count: { type: "string", default: "50" } } })
const count = Number(values.count)

/** Milliseconds in which something was on its way to one of the addresses, since `reset`. */
class InFlight {
  total = 0
  #open = 0
  #since = 0
  readonly #mine = new WeakSet<object>()

  constructor(origins: ReadonlySet<string>) {
    const ended = (message: unknown) => {
      if (!this.#mine.delete((message as { request: object }).request)) return
      this.#open--
      if (this.#open === 0) this.total += performance.now() - this.#since
    }
    channel("undici:request:create").subscribe((message) => {
      const { request } = message as { request: { readonly origin: string } }
      if (!origins.has(String(request.origin))) return
      this.#mine.add(request)
      if (this.#open++ === 0) this.#since = performance.now()
    })
    channel("undici:request:trailers").subscribe(ended)
    channel("undici:request:error").subscribe(ended)
  }
}

const program = Effect.gen(function* () {
  const world = yield* makeWorld({ env: { CD_LOG_LEVEL: "warn" } })
  const inFlight = new InFlight(new Set([new URL(world.pebble.directory).origin]))
  yield* world.certifier
  const measured: Array<{ readonly total: number; readonly ca: number }> = []
  for (let n = 0; n < count + 5; n++) {
    const asked = ask(`overhead${n}.example.com`)
    const [began, before] = [performance.now(), inFlight.total]
    yield* world.ensure(asked)
    const done = () => world.notices.some(({ claim_id, change }) => claim_id === asked.claim_id && change === "issued")
    while (!done()) yield* Effect.sleep("1 millis")
    measured.push({ total: performance.now() - began, ca: inFlight.total - before })
    // What is settled after the notice is not the next one's time.
    yield* eventually("settled", () => world.edge.applied.size === 0)
  }
  return measured.slice(5)
})

const measured = await Effect.runPromise(Effect.scoped(program) as Effect.Effect<Effect.Success<typeof program>>)
const at = (part: (one: (typeof measured)[number]) => number, q: number) => quantile(measured.map(part), q)
const ok = report("overhead", { count }, [
  { what: "wish → served, median", value: at(({ total }) => total, 0.5), unit: "ms" },
  { what: "  of it at the CA", value: at(({ ca }) => ca, 0.5), unit: "ms" },
  { what: "  of it ours, median", value: at(({ total, ca }) => total - ca, 0.5), unit: "ms", target: { atMost: 50 } },
  { what: "  of it ours, nine of ten", value: at(({ total, ca }) => total - ca, 0.9), unit: "ms" }
])
process.exit(ok ? 0 : 1)
