/** A14: on port 80 our own pending tokens are answered, under the host that they were made for, and nothing else is, whatever the path looks like. */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { TestEdge } from "../testing/TestEdge.ts"
import { Random } from "./random.ts"

const host = "shop.example.org"
const other = "other.example.org"
const prefix = "/.well-known/acme-challenge/"
const token = "AbCdEfGhIjKlMnOpQrStUv"
const authorization = `${token}.thumbprintthumbprint`
let edge: TestEdge

beforeAll(async () => {
  edge = await TestEdge.start()
  await edge.add(host, "http://127.0.0.1:1")
  await edge.add(other, "http://127.0.0.1:1")
  edge.registry.putChallenge({ token, hostname: host, key_authorization: authorization }, 1)
})

afterAll(() => edge.stop())

interface Asked {
  readonly method: string
  readonly path: string
  readonly name: string
}

/** Many requests, one connection each time the edge closes it; answers in order, "" where none came. */
const ask = async ({ method, path, name }: Asked): Promise<string> => {
  const socket = await edge.connectPlain()
  const end = new Promise<string>((resolve) => {
    let text = ""
    socket.on("data", (piece) => {
      text += piece.toString("latin1")
    })
    socket.on("error", () => {}).on("close", () => resolve(text))
  })
  socket.end(`${method} ${path} HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`, "latin1")
  return end
}

const letters = [...".-_~%/\\;?#@:&=+!*'(),[]{}|^`\"<>"]
const pieces = [
  prefix,
  token,
  "..",
  "./",
  "//",
  "%2e%2e",
  "%2f",
  "%00",
  ".well-known",
  "acme-challenge",
  "x",
  token.toLowerCase(),
  `${token}x`,
  token.slice(1)
]

const mutate = (random: Random): string => {
  let path = random.pick([`${prefix}${token}`, prefix, `/${random.pick(pieces)}/${token}`, `${prefix}${random.pick(pieces)}`])
  for (let times = random.below(3); times >= 0; times--) {
    const at = random.below(path.length + 1)
    const put = random.once(2) ? random.pick(letters) : random.pick(pieces)
    path = random.once(3) ? path.slice(0, at) + path.slice(at + 1) : path.slice(0, at) + put + path.slice(at)
  }
  return path.startsWith("/") ? path : `/${path}`
}

describe("A14: challenge answers", () => {
  it("A14: the token is answered under its own host by GET and HEAD, before any redirect", async () => {
    const answer = await ask({ method: "GET", path: `${prefix}${token}`, name: host })
    expect(answer).toMatch(/^HTTP\/1\.1 200 /)
    expect(answer.endsWith(authorization)).toBe(true)
    expect(await ask({ method: "GET", path: `${prefix}${token}`, name: "SHOP.example.org." })).toContain(authorization)
    const head = await ask({ method: "HEAD", path: `${prefix}${token}`, name: host })
    expect(head).toMatch(/^HTTP\/1\.1 200 /)
    expect(head).not.toContain(authorization)
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
      expect(await ask({ method, path: `${prefix}${token}`, name: host })).toMatch(/^HTTP\/1\.1 404 /)
    for (const name of [other, "unknown.example.org"]) {
      expect(await ask({ method: "GET", path: `${prefix}${token}`, name })).toMatch(/^HTTP\/1\.1 404 /)
    }
  })

  it("A14: of thousands of paths that are nearly it none is", async () => {
    const seed = Date.now() % 1_000_000
    const random = new Random(seed)
    for (let batch = 0; batch < 50; batch++) {
      const asked = Array.from({ length: 60 }, () => ({ method: "GET", path: mutate(random), name: random.pick([host, host, other]) }))
      const answers = await Promise.all(asked.map(ask))
      for (const [at, { path, name }] of asked.entries()) {
        const answer = answers[at]!
        const about = `seed ${seed}: ${JSON.stringify(path)} at ${name}: ${answer.slice(0, 40)}`
        expect(answer.includes(authorization), about).toBe(path === `${prefix}${token}` && name === host)
        // Whatever begins as a challenge is never led away to HTTPS.
        if (path.startsWith(prefix)) expect(answer, about).not.toMatch(/^HTTP\/1\.1 30/)
        expect(answer, about).toMatch(/^HTTP\/1\.1 (200|308|400|404) /)
      }
    }
  })
})
