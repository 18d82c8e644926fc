/**
 * A process that does nothing but change its registry and keep it on disk, to be killed or to run out of space.
 *
 * Owns: the order of changes that `snapshotKills.integration.test.ts` judges what is left by: names in turn, each with the next version, and a
 * certificate that comes and goes. Arguments: folder, version to begin with.
 */
import { Registry } from "../registry/Registry.ts"
import { Snapshot } from "../registry/Snapshot.ts"
import { numberedEntry } from "./entries.ts"
import { certificateEntry, makeAuthority } from "./TestEdge.ts"

/** Names in turn. One whose version is a multiple of 7 is released, and held again with its next version. */
export const nameCount = 40
export const isReleased = (version: number): boolean => version % 7 === 0
export const entryAt = (version: number) => {
  const at = version % nameCount
  const status = isReleased(version) ? ("released" as const) : ("held" as const)
  return numberedEntry(at, `n${at}.test`, { certificate_id: null, version, status })
}

const run = async (folder: string, first: number): Promise<void> => {
  const registry = new Registry()
  const snapshot = new Snapshot(folder, registry)
  const certificate = await certificateEntry(await makeAuthority(), ["gone.test"], { certificate_id: "cert-0", claim_id: "claim-0" })
  await snapshot.load()
  process.stdout.write("begins\n")
  for (let version = first; ; version++) {
    registry.putHostname(entryAt(version), version)
    // A removed certificate makes the next start write a new base while changes go on.
    if (version % 50 === 0) registry.putCertificate(certificate)
    if (version % 50 === 25) registry.deleteCertificate("cert-0")
    if (version % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 1))
    if (version % 200 === 0) process.stdout.write(`${snapshot.problem ?? "well"}\n`)
  }
}

if (import.meta.main) await run(process.argv[2]!, Number(process.argv[3]))
