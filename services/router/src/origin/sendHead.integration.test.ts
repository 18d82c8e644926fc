/** E4: each origin gets the head of its own request, however late the kernel takes its bytes: all heads are written in the same memory. */
import { once } from "node:events"
import { type AddressInfo, connect, createServer, type Socket } from "node:net"
import { afterEach, describe, expect, it } from "vitest"
import { type Forwarded, headMiddle } from "../exchange/forwardHead.ts"
import { isRefusal } from "../http1/Refusal.ts"
import { readRequestHead } from "../http1/requestHead.ts"
import { noPolicy } from "../policy/Policy.ts"
import { headText } from "../testing/headText.ts"
import { requestIdOf } from "../testing/requestIdOf.ts"
import { sendHead } from "./sendHead.ts"

const way = { origin: { authority: "origin.test", prefix: "" }, policy: noPolicy }

const forwarded = (id: string, padding = 0): Forwarded => {
  const head = readRequestHead(`GET /${id} HTTP/1.1\r\nHost: a.example\r\nX-Padding: ${"x".repeat(padding)}\r\n\r\n`)
  if (isRefusal(head)) throw new Error(head.code)
  const peer = { address: "192.0.2.7", scheme: "https" } as const
  return { head, way, middle: headMiddle(peer, head, way, "c-1"), requestId: requestIdOf(id) }
}

const opened: Array<{ destroy(): void }> = []
afterEach(() => {
  for (const each of opened.splice(0)) each.destroy()
})

/** One that reads when it is told to. */
const startOrigin = async (): Promise<{ readonly port: number; readonly accepted: Array<Socket> }> => {
  const accepted: Array<Socket> = []
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    accepted.push(socket)
    opened.push(socket)
  })
  opened.push({ destroy: () => server.close() })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return { port: (server.address() as AddressInfo).port, accepted }
}
const dial = (port: number): Socket => {
  const socket = connect({ port, host: "127.0.0.1" })
  opened.push(socket)
  return socket
}
const allOf = async (socket: Socket): Promise<string> => {
  let text = ""
  for await (const piece of socket.setEncoding("latin1")) text += piece
  return text
}
/** All that came on so many connections. */
const textsOf = async (accepted: ReadonlyArray<Socket>, count: number): Promise<Array<string>> => {
  while (accepted.length < count) await new Promise((resolve) => setTimeout(resolve, 5))
  return Promise.all(accepted.map(allOf))
}
const textOf = (heads: ReadonlyArray<Forwarded>): string => heads.map(headText).join("")

describe("E4: heads to origins", () => {
  it("of connections that are not made yet", async () => {
    const { port, accepted } = await startOrigin()
    const heads = Array.from({ length: 4 }, (_, at) => forwarded(`early-${at}`))
    for (const head of heads) {
      const socket = dial(port)
      sendHead(socket, head, false)
      socket.end()
    }
    expect((await textsOf(accepted, heads.length)).sort()).toEqual(heads.map(headText))
  })

  it("of an origin that reads nothing for a while", async () => {
    const { port, accepted } = await startOrigin()
    const [slow, quick] = [dial(port), dial(port)]
    await Promise.all([once(slow, "connect"), once(quick, "connect")])
    const [toSlow, toQuick]: [Array<Forwarded>, Array<Forwarded>] = [[], []]
    for (let at = 0; slow.writableLength === 0; at++) {
      toSlow.push(forwarded(`slow-${at}`, 4000))
      sendHead(slow, toSlow.at(-1)!, false)
    }
    for (let at = 0; at < 3; at++) {
      toQuick.push(forwarded(`quick-${at}`, 4000))
      sendHead(quick, toQuick.at(-1)!, false)
      toSlow.push(forwarded(`later-${at}`, 4000))
      sendHead(slow, toSlow.at(-1)!, false)
    }
    slow.end()
    quick.end()
    const texts = await textsOf(accepted, 2)
    const [one, other] = texts[0]!.length > texts[1]!.length ? texts : texts.toReversed()
    expect(other).toBe(textOf(toQuick))
    expect(one === textOf(toSlow)).toBe(true) // megabytes, which no failure should print
  })

  it("that wait for the rest of their turn", async () => {
    const { port, accepted } = await startOrigin()
    const socket = dial(port)
    const heads = [forwarded("first"), forwarded("other")]
    socket.cork()
    for (const head of heads) sendHead(socket, head, false)
    socket.uncork()
    socket.end()
    expect(await textsOf(accepted, 1)).toEqual([textOf(heads)])
  })

  it("that are larger than the memory that they share", async () => {
    const { port, accepted } = await startOrigin()
    const socket = dial(port)
    await once(socket, "connect")
    const heads = [forwarded("first", 9000), forwarded("other", 9000)]
    for (const head of heads) sendHead(socket, head, false)
    socket.end()
    expect(await textsOf(accepted, 1)).toEqual([textOf(heads)])
  })
})
