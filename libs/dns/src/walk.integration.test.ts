/** Walks over real sockets: delegations, glue, lame and silent servers, circles, addresses that must not be asked, forged answers. */
import { Cause, Effect, Exit, Layer } from "effect"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { Authorities } from "./Authorities.ts"
import { DnsTransport } from "./DnsTransport.ts"
import { lookOwnership, lookRecords } from "./look.ts"
import { Resolver } from "./Resolver.ts"
import { a, type Behaviour, cname, Internet, parentOf, soa, txt, zoneOf } from "./testing/Internet.ts"

let internet: Internet
beforeEach(() => {
  internet = new Internet()
})
afterEach(() => internet.close())

const root = "198.41.0.4"
const limits = { udpMillis: [150, 150], tcpMillis: 500, perServer: 16, patienceMillis: 5000, restMillis: 300 }
const run = <A, E>(effect: Effect.Effect<A, E, Resolver>) => {
  const transport = DnsTransport.layerWith(limits)
  const resolver = Resolver.layerNoDeps.pipe(Layer.provide(Authorities.layerWith(internet.settings(root))), Layer.provide(transport))
  return Effect.runPromise(Effect.provide(effect, resolver))
}
const ask = (name: string, type: "A" | "AAAA" | "TXT" | "NS") => Effect.flatMap(Resolver, (resolver) => resolver.ask(name, type))
const follow = (name: string, type: "A" | "TXT") => Effect.flatMap(Resolver, (resolver) => resolver.follow(name, type))

/** The root, `example.`, and acme.example at the given servers (name → address). */
const world = async (servers: Readonly<Record<string, string>>, behaviours: Readonly<Record<string, Behaviour>>) => {
  await internet.add(root, parentOf("", { example: { "a.nic.example": "192.5.6.30" } }))
  await internet.add("192.5.6.30", parentOf("example", { "acme.example": servers }))
  for (const [address, behaviour] of Object.entries(behaviours)) await internet.add(address, behaviour)
}
const two = { "ns1.acme.example": "93.184.216.1", "ns2.acme.example": "93.184.216.2" }
const zone = zoneOf("acme.example", [a("www.acme.example", "93.184.216.34"), txt("_c.acme.example", "cd-verify-", "x")])

describe("the walk", () => {
  test("asks every server of the zone, once each after the walk", async () => {
    await world(two, { "93.184.216.1": zone, "93.184.216.2": zone })
    const replies = await run(ask("WWW.acme.example.", "A"))
    expect(replies.map(({ server, address }) => [server, address])).toEqual([
      ["ns1.acme.example", "93.184.216.1"],
      ["ns2.acme.example", "93.184.216.2"]
    ])
    expect(replies.every(({ outcome }) => outcome.kind === "answered" && outcome.values.join() === "93.184.216.34")).toBe(true)
    expect(internet.questions.filter((question) => question.includes(" A "))).toHaveLength(2)
  })

  test("the root and the top-level domain are asked once for many names", async () => {
    await world(two, { "93.184.216.1": zone, "93.184.216.2": zone })
    await run(
      Effect.forEach(
        Array.from({ length: 50 }, (_, at) => `h${at}.acme.example`),
        (name) => ask(name, "A"),
        { concurrency: "unbounded" }
      )
    )
    expect(internet.questions.filter((question) => question.startsWith(root))).toHaveLength(1)
    expect(internet.questions.filter((question) => question.startsWith("192.5.6.30"))).toHaveLength(1)
  })

  test("servers without glue are found by a walk of their own, and a circle ends", async () => {
    await internet.add(root, parentOf("", { example: { "a.nic.example": "192.5.6.30" }, net: { "a.nic.net": "192.5.6.31" } }))
    await internet.add(
      "192.5.6.30",
      parentOf("example", { "acme.example": { "ns.dns.net": null }, "circle.example": { "ns.circle.net": null } })
    )
    await internet.add(
      "192.5.6.31",
      parentOf("net", { "dns.net": { "ns.dns.net": "93.184.216.9" }, "circle.net": { "ns.circle.example": null } })
    )
    await internet.add("93.184.216.9", (question, via) =>
      question.name.endsWith("dns.net") ? zoneOf("dns.net", [a("ns.dns.net", "93.184.216.9")])(question, via) : zone(question, via)
    )
    expect((await run(ask("www.acme.example", "A")))[0]?.outcome).toMatchObject({ kind: "answered", values: ["93.184.216.34"] })
    const exit = await run(Effect.exit(ask("www.circle.example", "A")))
    expect(Exit.isFailure(exit) && String(Cause.squash(exit.cause))).toContain("circle.example")
  })

  test("a server for parent and child is recognised, and the child's own servers are asked", async () => {
    await internet.add(root, (question) => {
      if (question.name === "acme.example" || question.name === "www.acme.example") {
        if (question.type === "NS")
          return {
            answers: [{ name: "acme.example", type: "NS", class: "IN", ttl: 60, data: "ns1.acme.example" }],
            additionals: [a("ns1.acme.example", "93.184.216.1")]
          }
        return { answers: question.name === "acme.example" ? [soa("acme.example")] : [], authorities: [soa("acme.example")] }
      }
      return { authorities: [soa("")] }
    })
    await internet.add("93.184.216.1", zone)
    expect((await run(ask("www.acme.example", "A")))[0]).toMatchObject({
      server: "ns1.acme.example",
      outcome: { values: ["93.184.216.34"] }
    })
  })

  test("addresses inside our own network are never asked", async () => {
    await world({ "ns1.acme.example": "10.0.0.1", "ns2.acme.example": "127.0.0.1" }, {})
    const replies = await run(Effect.exit(ask("www.acme.example", "A")))
    expect(Exit.isFailure(replies) && String(Cause.squash(replies.cause))).toContain("no address that may be asked")
  })

  test("glue from outside the parent's zone is not believed", async () => {
    await internet.add(root, parentOf("", { example: { "a.nic.example": "192.5.6.30" } }))
    await internet.add("192.5.6.30", parentOf("example", { "acme.example": { "ns.victim.test": "93.184.216.1" } }))
    await internet.add("93.184.216.1", zone)
    const exit = await run(Effect.exit(ask("www.acme.example", "A")))
    expect(Exit.isFailure(exit)).toBe(true)
  })
})

describe("answers", () => {
  test("a truncated answer is asked for again by TCP", async () => {
    const long = Array.from({ length: 40 }, (_, at) => txt("_c.acme.example", `value ${at} ${"x".repeat(60)}`))
    const behaviour: Behaviour = (question, via) => (question.type === "TXT" ? { answers: long, truncate: true } : zone(question, via))
    await world({ "ns1.acme.example": "93.184.216.1" }, { "93.184.216.1": behaviour })
    const [reply] = await run(ask("_c.acme.example", "TXT"))
    expect(reply?.outcome.kind === "answered" && reply.outcome.values.length).toBe(40)
  })

  test("a server from before EDNS gets a plain question; datagrams that are no answer are passed over", async () => {
    const odd =
      (mode: "noEdns" | "garbage"): Behaviour =>
      (question, via) =>
        question.type === "A" ? mode : zone(question, via)
    await world(two, { "93.184.216.1": odd("noEdns"), "93.184.216.2": odd("garbage") })
    const replies = await run(ask("www.acme.example", "A"))
    expect(replies.map(({ outcome }) => (outcome.kind === "answered" ? outcome.values : outcome.error))).toEqual([
      ["192.0.2.77"],
      ["192.0.2.77"]
    ])
  })

  test("SERVFAIL, REFUSED, an answer without authority and silence are failures of that server alone", async () => {
    const names = ["ns1", "ns2", "ns3", "ns4", "ns5"].map((label, at) => [`${label}.acme.example`, `93.184.216.${at + 1}`] as const)
    const other =
      (said: ReturnType<Behaviour>): Behaviour =>
      (question, via) =>
        question.type === "A" ? said : zone(question, via)
    await world(Object.fromEntries(names), {
      "93.184.216.1": other({ rcode: 2, aa: false }),
      "93.184.216.2": other({ rcode: 5, aa: false }),
      "93.184.216.3": other({ aa: false, answers: [a("www.acme.example", "93.184.216.34")] }),
      "93.184.216.4": other("silent"),
      "93.184.216.5": zone
    })
    const replies = await run(ask("www.acme.example", "A"))
    expect(replies.map(({ outcome }) => (outcome.kind === "answered" ? outcome.values.join() : outcome.error))).toEqual([
      "answers SERVFAIL",
      "answers REFUSED",
      "is not authoritative for the zone",
      expect.stringContaining("no answer"),
      "93.184.216.34"
    ])
  })

  test("a server that is dead costs its time once, and is asked again after a rest", async () => {
    let answer: ReturnType<Behaviour> = "silent"
    await internet.add("93.184.216.1", () => answer)
    const peer = internet.settings(root).route("93.184.216.1")
    const rested = { ...limits, patienceMillis: 0, restMillis: 200 }
    await Effect.runPromise(
      Effect.gen(function* () {
        const { exchange } = yield* DnsTransport
        const question = { name: "www.acme.example", type: "A" } as const
        yield* Effect.flip(exchange(peer, question))
        const asked = internet.questions.length
        expect((yield* Effect.flip(exchange(peer, question))).message).toBe("no answer a moment ago")
        expect(internet.questions.length).toBe(asked)
        answer = {}
        yield* Effect.sleep(250)
        expect((yield* exchange(peer, question)).rcode).toBe(0)
      }).pipe(Effect.provide(DnsTransport.layerWith(rested)))
    )
  })

  test("aliases are followed through other zones' servers, and a loop ends", async () => {
    await internet.add(root, parentOf("", { example: { "a.nic.example": "192.5.6.30" } }))
    await internet.add(
      "192.5.6.30",
      parentOf("example", {
        "acme.example": { "ns1.acme.example": "93.184.216.1" },
        "target.example": { "ns1.target.example": "93.184.216.2" }
      })
    )
    // The first server also claims to know the target's address: it is not asked about that.
    const lying: Behaviour = (question, via) =>
      question.name === "www.acme.example" && question.type === "A"
        ? { answers: [cname("www.acme.example", "edge.target.example"), a("edge.target.example", "192.0.2.66")] }
        : zoneOf("acme.example", [cname("loop.acme.example", "loop2.acme.example"), cname("loop2.acme.example", "loop.acme.example")])(
            question,
            via
          )
    await internet.add("93.184.216.1", lying)
    await internet.add("93.184.216.2", zoneOf("target.example", [a("edge.target.example", "93.184.216.50")]))
    expect((await run(follow("www.acme.example", "A")))[0]?.outcome).toMatchObject({
      alias: "edge.target.example",
      values: ["93.184.216.50"]
    })
    expect((await run(follow("loop.acme.example", "A")))[0]?.outcome).toMatchObject({ kind: "failed" })
  })
})

describe("looks", () => {
  test("one server out of step makes it unknown; all out of step a mismatch; a silent one does not hinder a match", async () => {
    const saying = (...values: ReadonlyArray<string>) =>
      zoneOf(
        "acme.example",
        values.map((value) => txt("_c.acme.example", value))
      )
    const verdict = async (first: Behaviour, second: Behaviour) => {
      internet.close()
      internet = new Internet()
      await world(two, { "93.184.216.1": first, "93.184.216.2": second })
      return (await run(lookOwnership({ name: "_c.acme.example", value: "mine" }))).verdict
    }
    const silent: Behaviour = (question, via) => (question.type === "TXT" ? "silent" : saying()(question, via))
    expect(await verdict(saying("mine", "theirs"), saying("mine"))).toBe("match")
    expect(await verdict(saying("mine"), saying())).toBe("unknown")
    expect(await verdict(saying("MINE"), saying('"mine"'))).toBe("mismatch")
    expect(await verdict(saying("mine"), silent)).toBe("match")
    expect(await verdict(saying(), silent)).toBe("unknown")
    expect(await verdict(silent, silent)).toBe("unknown")
  })

  test("a flattened apex matches when its addresses are the target's, and only then", async () => {
    await internet.add(root, parentOf("", { example: { "a.nic.example": "192.5.6.30" } }))
    await internet.add(
      "192.5.6.30",
      parentOf("example", {
        "acme.example": { "ns1.acme.example": "93.184.216.1" },
        "target.example": { "ns1.target.example": "93.184.216.2" }
      })
    )
    await internet.add("93.184.216.1", zoneOf("acme.example", [a("acme.example", "93.184.216.50"), a("www.acme.example", "93.184.216.50")]))
    await internet.add(
      "93.184.216.2",
      zoneOf("target.example", [a("edge.target.example", "93.184.216.50"), a("edge2.target.example", "93.184.216.51")])
    )
    const look = (host: string, value: string) =>
      run(Effect.map(lookRecords([{ host, type: "CNAME", value, ttl: 300 }]), ({ verdict }) => verdict))
    expect(await look("acme.example", "edge.target.example")).toBe("match")
    expect(await look("acme.example", "edge2.target.example")).toBe("mismatch")
    expect(await look("www.acme.example", "edge.target.example")).toBe("mismatch")
  })

  test("a value whose signatures don't hold, or that nobody could check, is not known", async () => {
    await world(two, { "93.184.216.1": zone, "93.184.216.2": zone })
    const look = () => run(Effect.map(lookOwnership({ name: "_c.acme.example", value: "cd-verify-x" }), ({ verdict }) => verdict))
    expect(await look()).toBe("match")
    let answer: ReturnType<Behaviour> = { aa: false }
    await internet.add("9.9.9.9", () => answer)
    internet.validateWith("9.9.9.9")
    expect(await look()).toBe("match")
    answer = { rcode: 2, aa: false }
    expect(await look()).toBe("unknown")
    answer = "silent"
    expect(await look()).toBe("unknown")
  })

  test("the zone of a name and its servers as they say themselves", async () => {
    await world(two, { "93.184.216.1": zone, "93.184.216.2": zone })
    expect(await run(Effect.flatMap(Resolver, (resolver) => resolver.zone("www.acme.example")))).toEqual({
      zone: "acme.example",
      nameServers: ["ns1.acme.example", "ns2.acme.example"]
    })
  })
})
