import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { Challenges } from "./Challenges.ts"

beforeEach(() => void vi.useFakeTimers({ toFake: ["performance"] }))
afterEach(() => void vi.useRealTimers())

const challenge = (token: string, type: "http-01" | "tls-alpn-01") => ({ token, hostname: "a.test", key_authorization: `${token}.k`, type })
const minutes = (count: number) => vi.advanceTimersByTime(count * 60_000)

describe("A14: a challenge whose end this edge did not hear of", () => {
  it("A14: is answered for an hour at most, over HTTP and TLS, and gives way to another one", () => {
    const challenges = new Challenges()
    challenges.put(challenge("h1", "http-01"))
    challenges.put(challenge("t1", "tls-alpn-01"))
    minutes(59)
    expect([challenges.find("h1", "a.test"), challenges.findAlpn("a.test")?.token]).toEqual(["h1.k", "t1"])
    minutes(2)
    expect([challenges.find("h1", "a.test"), challenges.findAlpn("a.test")]).toEqual([undefined, undefined])
    challenges.put(challenge("t2", "tls-alpn-01"))
    minutes(30)
    challenges.put(challenge("t3", "tls-alpn-01"))
    minutes(20)
    challenges.put(challenge("t2", "tls-alpn-01"))
    expect(challenges.findAlpn("a.test")?.token).toBe("t2")
    minutes(50)
    challenges.delete("t2")
    expect(challenges.findAlpn("a.test")).toBeUndefined()
  })
})
