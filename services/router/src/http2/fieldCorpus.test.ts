/** E3: the corpus of HTTP/2 field lists against the pure reader. */

import { describe, expect, it } from "vitest"
import { headMiddle } from "../exchange/forwardHead.ts"
import { isRefusal } from "../http1/Refusal.ts"
import { noPolicy } from "../policy/Policy.ts"
import { headText } from "../testing/headText.ts"
import { requestIdOf } from "../testing/requestIdOf.ts"
import { fieldCorpus } from "./fieldCorpus.ts"
import { fieldsOf } from "./HeaderField.ts"
import { readHttp2Fields } from "./readFields.ts"

const way = { origin: { authority: "origin.test", prefix: "" }, policy: noPolicy }

describe("E3: field lists", () => {
  it.each(fieldCorpus.map((each) => [each.name, each] as const))("%s", (_, { fields, expect: wanted, forwarded }) => {
    const verdict = readHttp2Fields(fieldsOf(fields), true)
    if (isRefusal(verdict)) return expect(verdict.status).toBe(wanted)
    expect(wanted).toBe("served")
    const head = headText({
      head: verdict,
      way,
      middle: headMiddle({ address: "192.0.2.1", scheme: "https" }, verdict, way, "c-1"),
      requestId: requestIdOf("id")
    })
    for (const line of forwarded ?? []) expect(head).toContain(`${line}\r\n`)
    expect(head).not.toContain("6.6.6.6")
    expect(head.split("\r\n\r\n")).toHaveLength(2)
  })
})
