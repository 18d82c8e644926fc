/**
 * Follows one connection to its end, telling each state with the time since the start.
 *
 * Owns: that loop, for the demo and `connect`. It asks often, on purpose: it is there to show the states as they pass.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { Refusal } from "./DevDirectory.ts"
import { dim, green, red, say, seconds } from "./progress.ts"
import type { Connection, SandboxApi } from "./SandboxApi.ts"

const meanings: Readonly<Record<string, string>> = {
  created: "the row exists",
  pending_ownership: "waiting for the customer's TXT record",
  verifying: "looking for the TXT record at the zone's own name servers",
  verified: "proven; the hostname is claimed",
  dns_writing: "writing the records at the DNS provider",
  propagating: "waiting until every name server gives the wanted values",
  issuing_cert: "the certificate authority validates through the edge",
  live: "the edge serves it over HTTPS",
  stalled: "no progress; looked at hourly",
  failed: "ended with an error"
}

/** The live connection. Gives up after `limitSeconds` with what to look at. */
export const followToLive = async (api: SandboxApi, id: string, began: number, limitSeconds = 60): Promise<Connection> => {
  let last = ""
  for (;;) {
    const connection = await api.connection(id)
    if (connection.state !== last) {
      last = connection.state
      const mark = last === "live" ? green("✓") : last === "failed" ? red("✗") : "·"
      say(`  ${mark} ${`+${seconds(Date.now() - began)}`.padEnd(10)} ${last.padEnd(18)} ${dim(meanings[last] ?? "")}`)
    }
    if (connection.state === "live") return connection
    if (connection.state === "failed" || connection.state === "archived") {
      throw new Refusal(
        `${connection.hostname} ended as ${connection.state} (${connection.error_code ?? "no error code"}). See './dev logs'.`
      )
    }
    if (Date.now() - began > limitSeconds * 1_000) {
      throw new Refusal(`${connection.hostname} is still ${connection.state} after ${limitSeconds} s. See './dev logs' and './dev status'.`)
    }
    await sleep(40)
  }
}
