/** Of several addresses each has its time: Node's default would give up a distant one for good. */
import { Socket } from "node:net"
import { expect, it, vi } from "vitest"
import { makeAddressPolicy } from "./AddressPolicy.ts"
import { checkedConnect } from "./checkedConnect.ts"

const asked = vi.hoisted(() => [] as Array<{ readonly autoSelectFamily: boolean; readonly autoSelectFamilyAttemptTimeout: number }>)
const instead = vi.hoisted(() => (real: { Socket: typeof Socket }) => (options: (typeof asked)[number]) => {
  asked.push(options)
  return new real.Socket()
})
vi.mock("node:net", async (original) => {
  const net = await original<typeof import("node:net")>()
  return { ...net, connect: instead(net) }
})
vi.mock("node:tls", async (original) => ({ ...(await original<object>()), connect: instead({ Socket }) }))

it.each([
  [300, 1500],
  [5000, 1666],
  [30_000, 10_000]
])("a connection that has %i ms gives each address %i", (timeoutMillis, each) => {
  asked.length = 0
  for (const tls of [{}, { tls: {} }])
    checkedConnect(makeAddressPolicy([]), { host: "name.test", port: 443, timeoutMillis, ...tls }, () => {})()
  expect(asked).toMatchObject(Array(2).fill({ autoSelectFamily: true, autoSelectFamilyAttemptTimeout: each }))
})
