/** Of a client's `traceparent` the ids are taken, and nothing else. */

import { Option, Tracer } from "effect"
import { expect, it } from "vitest"
import type { RequestHead } from "../http1/requestHead.ts"
import { requestIdOf } from "../testing/requestIdOf.ts"
import { RequestTraces } from "./RequestTraces.ts"

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736"
const own = "00f067aa0ba902b7"
const client = `Accept: */*\r\nTraceparent: 00-${traceId}-${"1".repeat(16)}-`

/** What the origin gets in the place of `kept`. */
const forwarded = (kept: string, ratio: number): string => {
  const span = ({ parent, sampled }: { parent: Option.Option<Tracer.AnySpan>; sampled: boolean }) => {
    const id = Option.match(parent, { onNone: () => "f".repeat(32), onSome: (found) => found.traceId })
    return { traceId: id, spanId: own, sampled } as Tracer.Span
  }
  return new RequestTraces(Tracer.make({ span }), ratio).begin({ method: "GET", kept } as RequestHead, requestIdOf("id")).kept
}

it.each([
  [`${client}01\r\n`, 1, `Accept: */*\r\ntraceparent: 00-${traceId}-${own}-01\r\n`],
  [`${client}00\r\n`, 1, `Accept: */*\r\ntraceparent: 00-${traceId}-${own}-01\r\n`],
  [`${client}01\r\n`, 0, `Accept: */*\r\ntraceparent: 00-${traceId}-${own}-00\r\n`],
  [`${client}ff\r\n`, 0, `Accept: */*\r\ntraceparent: 00-${traceId}-${own}-00\r\n`],
  ["traceparent: nonsense\r\n", 1, `traceparent: 00-${"f".repeat(32)}-${own}-01\r\n`],
  ["", 0, `traceparent: 00-${"f".repeat(32)}-${own}-00\r\n`]
])("%j, of which the operator stores %d", (kept, ratio, expected) => expect(forwarded(kept, ratio)).toBe(expected))

it("stores the part that the operator set", () => {
  const sampled = Array.from({ length: 4000 }, () => forwarded(`${client}01\r\n`, 0.5)).filter((kept) => kept.endsWith("-01\r\n")).length
  expect(sampled).toBeGreaterThan(1600)
  expect(sampled).toBeLessThan(2400)
})
