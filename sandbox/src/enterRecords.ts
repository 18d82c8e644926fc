/**
 * What a customer does by hand at his DNS provider: the challenge's TXT, and the records that going live waits for.
 *
 * Owns: which records these are, and saying so. Leaves to `CustomerDns.ts`: writing them.
 */
import type { CustomerDns, WantedRecord } from "./CustomerDns.ts"
import { dim, say } from "./progress.ts"
import { type Connection, neededRecords } from "./SandboxApi.ts"

type Asked = Pick<Connection, "ownership_challenge" | "desired_records">

export const challengeOf = ({ ownership_challenge: { name, type, value } }: Pick<Asked, "ownership_challenge">): WantedRecord => ({
  host: name,
  type,
  value
})

/** The challenge first. */
export const recordsToEnter = (connection: Asked): ReadonlyArray<WantedRecord> => [challengeOf(connection), ...neededRecords(connection)]

export const enterRecords = async (dns: CustomerDns, zone: string, connection: Asked): Promise<void> => {
  const { name, type } = connection.ownership_challenge
  const others = neededRecords(connection).map((one) => `${one.type} ${one.host} → ${one.value}`)
  say(dim(`  the customer adds ${type} ${name} and ${others.join(", ")}`))
  await dns.put(zone, recordsToEnter(connection))
}
