/**
 * `makeEntries.ts <hosts>` writes what `manyHosts.ts` makes to its standard output, the line of a certificate and that of its hostname by turns, as
 * JSON as it stands in the buckets. In a process of its own: what making them costs is none of the memory that holding them takes.
 */
import { once } from "node:events"
import type { CertificateEntry, HostnameEntry } from "@connect-domain/messages/buckets.ts"
import { numberedEntry } from "@connect-domain/router/testing/entries.ts"
import { hostOf, makeCertificates, realIds, realName } from "./manyHosts.ts"

const { real, certificateOf } = await makeCertificates()
const write = async (certificate: CertificateEntry, entry: HostnameEntry) => {
  if (!process.stdout.write(`${JSON.stringify(certificate)}\n${JSON.stringify(entry)}\n`)) await once(process.stdout, "drain")
}
await write(real, numberedEntry(1, realName, realIds))
for (let at = 0; at < Number(process.argv[2]); at++) await write(certificateOf(at), numberedEntry(at, hostOf(at)))
