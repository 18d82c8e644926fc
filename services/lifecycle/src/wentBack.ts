/**
 * Whether NATS or Postgres went back to an older copy of itself, told from what either remembers.
 *
 * Owns: the verdict on the registry's bucket beside the database. Leaves to `Rebuild.ts`: looking again, since a leader that was elected just now may
 * still catch up, and beginning anew; to the relay (`Registry.ts`): what shows in its puts. Pure.
 */
import type { HostnameEntry, RegistryMeta } from "@connect-domain/messages/buckets.ts"

/** Of the database. */
export interface Remembered {
  readonly epoch: string
  /** `_meta` of this epoch was written. */
  readonly complete: boolean
  /** The highest revision that the bucket acknowledged. */
  readonly put_revision: number
  /** The highest version that was given out. */
  readonly last_version: number
}

/** `last` is to be read before the database, `lastRevision` after it: what was put meanwhile then looks like no loss. */
export interface Found {
  /** What was put last; undefined: it was deleted since. */
  readonly last: HostnameEntry | RegistryMeta | undefined
  readonly lastRevision: number
}

export const natsLost = "NATS has lost what it had acknowledged"
export const databaseOlder = "the database is older than what NATS has"

/** Why the registry must be put anew; undefined: neither went back. */
export const wentBack = (known: Remembered, { last, lastRevision }: Found): string | undefined => {
  if (lastRevision < known.put_revision) return natsLost
  if (last === undefined) return undefined
  const ahead = "version" in last ? last.version > known.last_version : known.complete && last.epoch !== known.epoch
  return ahead ? databaseOlder : undefined
}
