/**
 * The first HTTPS answer of a name that was just verified, its certificate issued on demand: from the answer of `verify` to the first answer
 * through the edge, the handshake waiting for the certificate.
 *
 * `./dev bench onDemand [-- --count 20]`
 * One name after the other, each in a zone of its own; its records stand in DNS before it is verified. A visitor whose handshake is refused
 * comes again at once, as browsers do not: so the time is ours and not the visitor's patience.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { parseArgs } from "node:util"
import { edgeRequest } from "@connect-domain/sandbox/edgeRequest.ts"
import { quantile, report } from "./report.ts"
import { runBenchmark } from "./Stack.ts"

const { values } = parseArgs({ options: { count: { type: "string", default: "20" } } })
const count = Number(values.count)

await runBenchmark(async (stack) => {
  const times: Array<number> = []
  const ids: Array<string> = []
  let refused = 0
  for (let n = 0; n < count + 2; n++) {
    const hostname = `shop.demand-${stack.run}-${n}.test`
    const connection = await stack.create(hostname)
    ids.push(connection.id)
    await stack.addRecords(connection)
    await stack.api.call("POST", `/v1/connections/${connection.id}/verify`)
    const began = performance.now()
    for (const limit = Date.now() + 30_000; ; ) {
      const answer = await edgeRequest(stack.state, hostname, "/").catch(() => undefined)
      if (answer?.status === 200) break
      refused++
      if (Date.now() > limit) throw new Error(`${hostname}: no answer within 30 s`)
      await sleep(10)
    }
    if (n >= 2) times.push(performance.now() - began) // the first two warm up
  }
  await stack.archive(ids)
  return report("onDemand", { count }, [
    { what: "verified → first HTTPS answer, median", value: quantile(times, 0.5), unit: "ms", target: { atMost: 200 } },
    { what: "nine of ten", value: quantile(times, 0.9), unit: "ms" },
    { what: "slowest", value: Math.max(...times), unit: "ms" },
    { what: "handshakes refused meanwhile", value: refused / (count + 2), unit: "each" }
  ])
})
