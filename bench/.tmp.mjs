import { readFileSync } from "node:fs"
import { Pool } from "undici"

const S = JSON.parse(readFileSync("/tmp/lead/state.json"))
const N = +process.argv[2] || 2000
const pool = new Pool(S.api, { connections: 24 })
let i = 0,
  ok = 0
const run = Date.now().toString(36)
const t = performance.now()
await Promise.all(
  Array.from({ length: 24 }, async () => {
    while (i < N) {
      const n = i++
      const r = await pool.request({
        path: "/v1/connections",
        method: "POST",
        headers: { authorization: `Bearer ${S.api_key}`, "content-type": "application/json" },
        body: JSON.stringify({ application_id: S.application_id, hostname: `h${n}.c${run}.test` })
      })
      await r.body.text()
      if (r.statusCode === 201) ok++
    }
  })
)
console.log(ok, "created", ((ok / (performance.now() - t)) * 1000).toFixed(0), "/s")
const c = process.cpuUsage()
console.log("client cpu", (c.user + c.system) / 1e6)
process.exit()
