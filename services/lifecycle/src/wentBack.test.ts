import type { HostnameEntry } from "@connect-domain/messages/buckets.ts"
import { assert, describe, it } from "@effect/vitest"
import { databaseOlder, type Found, natsLost, type Remembered, wentBack } from "./wentBack.ts"

const known: Remembered = { epoch: "e2", complete: true, put_revision: 10, last_version: 40 }
const version = (value: number) => ({ version: value }) as HostnameEntry
const meta = (epoch: string) => ({ epoch, complete: true, count: 1 })

describe("which side went back to an older copy", () => {
  it.each<[string, Partial<Remembered>, Found, string | undefined]>([
    ["neither", {}, { last: version(40), lastRevision: 10 }, undefined],
    ["neither, more was put since", {}, { last: version(39), lastRevision: 12 }, undefined],
    ["neither, right after a rebuild", {}, { last: meta("e2"), lastRevision: 10 }, undefined],
    ["neither, a rebuild has begun", { complete: false }, { last: meta("e1"), lastRevision: 10 }, undefined],
    ["neither, the last was deleted", {}, { last: undefined, lastRevision: 10 }, undefined],
    ["NATS, by less than was acknowledged", {}, { last: version(40), lastRevision: 9 }, natsLost],
    ["the database, by a version that was never given out", {}, { last: version(41), lastRevision: 10 }, databaseOlder],
    ["the database, by an epoch that it has forgotten", {}, { last: meta("e3"), lastRevision: 10 }, databaseOlder]
  ])("%s", (_, more, found, verdict) => {
    assert.strictEqual(wentBack({ ...known, ...more }, found), verdict)
  })
})
