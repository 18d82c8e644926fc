import { Writable } from "node:stream"
import { outliveReader } from "@connect-domain/telemetry/standardOutput.ts"
import { describe, expect, it } from "vitest"
import { AccessLog } from "./AccessLog.ts"
import type { RequestRecord } from "./RequestRecord.ts"

const record: RequestRecord = {
  ...{ requestId: "r", protocol: "h2", scheme: "https", address: "192.0.2.1", method: "GET", host: "a.test", serverName: "", path: "/" },
  ...{ status: 200, code: "", connectionId: "c", tenantId: "t", bytesIn: 0, bytesOut: 0, millis: 1, tunnel: false }
}
const failingWith = (code: string) => {
  const out = new Writable({ write: (_piece, _encoding, done) => done(Object.assign(new Error(code), { code })) })
  outliveReader(out)
  return out
}
const later = () => new Promise((resolve) => setImmediate(resolve))

describe("the access log", () => {
  it("counts what its reader did not take, and what is not written because he is gone", async () => {
    const log = new AccessLog("full", failingWith("EPIPE"))
    for (let at = 0; at < 3; at++) log.write(record)
    log.flush()
    await later()
    expect(log.lost).toBe(3)
    log.write(record)
    expect(log.lost).toBe(4)
  })
})
