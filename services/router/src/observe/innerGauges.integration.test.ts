/** What the parts count is what an operator reads. */

import { Writable } from "node:stream"
import { afterAll, beforeAll, expect, it } from "vitest"
import { requestIdOf } from "../testing/requestIdOf.ts"
import { certificateEntry, sendRaw, TestEdge } from "../testing/TestEdge.ts"
import { AccessLog } from "./AccessLog.ts"
import { accessLogGauge } from "./innerGauges.ts"
import type { RequestRecord } from "./RequestRecord.ts"

let edge: TestEdge
beforeAll(async () => {
  edge = await TestEdge.start()
})
afterAll(() => edge.stop())

const value = (name: string, code?: string) =>
  edge.router.metrics.samples().find((sample) => sample.name === name && (code === undefined || sample.labels.code === code))?.value

it("tells of contexts, connections to origins by their error, and the loop's delay", async () => {
  const host = "shop.example.org"
  await edge.add(host, "http://127.0.0.1:2")
  expect(await sendRaw(edge, host, `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)).toMatch(/ 502 /)
  expect(value("edge_origin_connect_failed_total", "unreachable-ECONNREFUSED")).toBe(1)
  const entry = await edge.add(host, "http://10.0.0.1")
  await sendRaw(edge, host, `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
  expect(value("edge_origin_connect_failed_total", "denied")).toBe(1)
  expect(value("edge_contexts_made_total")).toBe(2)
  expect(value("edge_contexts_failed_total")).toBe(0)
  const broken = await certificateEntry(edge.authority, [host], { certificate_id: "broken", claim_id: entry.claim_id })
  edge.registry.putCertificate({ ...broken, sealed_key: "nonsense" })
  edge.registry.putHostname({ ...entry, certificate_id: "broken", version: entry.version + 1000 }, entry.version + 1000)
  await expect(edge.connect(host)).rejects.toThrow()
  expect(value("edge_contexts_failed_total")).toBe(1)
  expect(value("edge_contexts_waiting")).toBe(0)
  expect(value("edge_challenges_broken_total")).toBe(0)
  expect(value("edge_event_loop_delay_seconds")).toBeGreaterThanOrEqual(0)
})

it("tells of lines of the access log that were lost", () => {
  const stuck = new Writable({ highWaterMark: 1, write: () => {} })
  const log = new AccessLog("full", stuck)
  const path = `/${"x".repeat(8000)}`
  const record = {
    path,
    host: "",
    peer: { serverName: "" },
    method: "",
    requestId: requestIdOf("r"),
    protocol: "h2",
    code: "",
    connectionId: ""
  } as RequestRecord
  for (let at = 0; at < 1000; at++) log.write(record)
  expect(log.lost).toBeGreaterThan(0)
  expect(accessLogGauge(log).read()).toBe(log.lost)
})
