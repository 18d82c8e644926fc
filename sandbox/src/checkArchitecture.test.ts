import { assert, describe, it } from "@effect/vitest"
import { checkFile, importsIn } from "./checkArchitecture.ts"

const head = "/** Owns a thing. */\n"
const rules = (file: string, source: string) => checkFile(file, head + source).map((breach) => breach.rule)

describe("checkArchitecture", () => {
  it("finds imports of every form, and none in comments", () => {
    const source = `
// import a from "in-a-comment"
/* import b from "in-a-block" */
import c from "c"
import type { D } from "d"
import {
  e
} from "./e.ts"
export * from "f"
import "g"
const h = await import("h")`
    assert.deepStrictEqual([...importsIn(source)], ["c", "d", "./e.ts", "f", "g", "h"])
  })

  it.each([
    ["services/router/src/Edge.ts", 'import { x } from "@connect-domain/lifecycle/x.ts"', "no service imports another"],
    ["services/router/src/Edge.ts", 'import { x } from "../../lifecycle/src/x.ts"', "no service imports another"],
    ["services/router/src/Edge.test.ts", 'import { x } from "../../lifecycle/src/x.ts"', "no service imports another"],
    ["services/router/src/Edge.ts", 'import { connect } from "@nats-io/transport-node"', "only libs/nats imports @nats-io/*"],
    ["services/billing/src/Quota.ts", 'import postgres from "postgres"', "only libs/database imports postgres"],
    ["libs/connection/src/decide.ts", 'import { readFileSync } from "node:fs"', "libs/connection imports effect and libs/domain only"],
    ["libs/domain/src/Hostname.ts", 'import { x } from "@connect-domain/messages/x.ts"', "libs/domain imports effect and tldts only"],
    [
      "services/connector/src/providers/hetzner/api.ts",
      'import { x } from "@connect-domain/nats/Kv.ts"',
      "a provider folder imports domain and dns-provider only"
    ],
    [
      "services/connector/src/providers/hetzner/api.ts",
      'import { x } from "../gandi/api.ts"',
      "a provider folder imports domain and dns-provider only"
    ],
    ["sandbox/src/up.ts", 'import { x } from "@connect-domain/gateway/service.ts"', "sandbox imports no service"],
    ["libs/nats/src/Kv.ts", 'import { x } from "../../../sandbox/src/x.ts"', "a library does not import sandbox"],
    ["services/router/src/utils/x.ts", "", "nothing is named 'utils'"],
    ["libs/nats/src/index.ts", "", "nothing is named 'index'"]
  ])("%s: %s", (file, source, rule) => {
    assert.deepStrictEqual(rules(file, source), [rule])
  })

  it.each([
    ["deploy/all-in-one/main.ts", 'import { layer } from "@connect-domain/gateway/service.ts"'],
    ["services/router/src/Edge.ts", 'import { Nats } from "@connect-domain/nats/Nats.ts"'],
    ["services/connector/src/providers/registry.ts", 'import { x } from "./hetzner/descriptor.ts"'],
    ["services/connector/src/providers/hetzner/api.ts", 'import { x } from "@connect-domain/dns-provider/DnsProvider.ts"'],
    ["libs/nats/src/Nats.ts", 'import { connect } from "@nats-io/transport-node"'],
    ["libs/domain/src/Hostname.ts", 'import { Schema } from "effect"']
  ])("allows %s: %s", (file, source) => {
    assert.deepStrictEqual(rules(file, source), [])
  })

  it("refuses a file that is too long, and one without an opening comment", () => {
    assert.match(checkFile("libs/nats/src/Kv.ts", head + "\n".repeat(300))[0]!.rule, /at most/)
    assert.match(checkFile("libs/nats/src/Kv.ts", "const x = 1\n")[0]!.rule, /opens with/)
  })
})
