/** White space around values is SP and HTAB (RFC 9113 §8.2.1): the last byte of a letter in UTF-8 is none, whatever latin1 calls it. */
import { connect } from "node:http2"
import { describe, expect, it } from "vitest"
import { RawOrigin } from "../testing/RawOrigin.ts"
import { TestEdge } from "../testing/TestEdge.ts"

const host = "shop.example.org"
const city = Buffer.from("Città").toString("latin1")

describe.each(["own", "node"] as const)("the codec %s", (http2) => {
  it("passes a value that ends in byte A0, both ways", async () => {
    const edge = await TestEdge.start({ http2 })
    const origin = await RawOrigin.answering(`HTTP/1.1 200 OK\r\nX-City: \t ${city} \t\r\nContent-Length: 0\r\n\r\n`)
    await edge.add(host, origin.url)
    const session = connect(`https://127.0.0.1:${edge.https}`, { servername: host, ca: edge.authority.pem })
    const stream = session.request({ ":path": "/", ":authority": host, "x-city": city })
    const fields = await new Promise<Record<string, unknown>>((resolve, reject) => stream.on("response", resolve).on("error", reject))
    expect(fields).toMatchObject({ ":status": 200, "x-city": city })
    expect(origin.received.join("")).toContain(`x-city: ${city}\r\n`)
    session.destroy()
    await edge.stop(0)
    await origin.stop()
  })
})
