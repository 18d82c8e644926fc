/** Simulated years by the dozen: `node services/certifier/test/simulate.ts [--seeds 50] [--names 1000] [--from 1]`; a seed that breaks is printed. */
import { parseArgs } from "node:util"
import { Broken, simulateYear } from "./simulateYear.ts"

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "50" },
    names: { type: "string", default: "1000" },
    from: { type: "string", default: "1" }
  }
})
const first = Number(values.from)
for (let seed = first; seed < first + Number(values.seeds); seed++) {
  try {
    const { names, renewed, revoked, leastShareLeft, busiestHour, deadOrders } = simulateYear(seed, Number(values.names))
    const least = (leastShareLeft * 100).toFixed(1)
    console.log(
      `seed ${seed}: ${names} names, ${renewed} renewals, ${revoked} revoked, at least ${least} % of the life left, busiest hour ${busiestHour}, ${deadOrders} orders for dead names`
    )
  } catch (error) {
    if (!(error instanceof Broken)) throw error
    console.error(`${error.message}\nreproduce: node services/certifier/test/simulate.ts --seeds 1 --from ${seed} --names ${values.names}`)
    process.exitCode = 1
  }
}
