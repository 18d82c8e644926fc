/** The deployment files are read by a program: they parse, start files that exist, and give each service its own secrets alone. */
import { randomBytes } from "node:crypto"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { parse as parseHcl } from "@cdktf/hcl2json"
import type { Setting } from "@connect-domain/domain/Setting.ts"
import { createUsers } from "@connect-domain/nats/serverConfiguration.ts"
import { wrongSettings } from "@connect-domain/telemetry/checkSettings.ts"
import { ConfigProvider, Effect } from "effect"
import { describe, expect, it } from "vitest"
import { parse as parseYaml } from "yaml"
import { allocator, routerOptions } from "../bench/edge/routerOptions.ts"

const root = join(import.meta.dirname, "..")
const read = (file: string) => readFileSync(join(root, "deploy", file), "utf8")

/** Which service may hold which secret; everything else is a leak. */
const secrets: Readonly<Record<string, ReadonlyArray<string>>> = {
  gateway: ["DATABASE_URL", "CD_GATEWAY_NATS_SEED", "CREDENTIAL_ENC_KEY", "CD_TOKEN_KEY"],
  lifecycle: ["DATABASE_URL", "CD_LIFECYCLE_NATS_SEED"],
  connector: ["CD_CONNECTOR_NATS_SEED", "CREDENTIAL_ENC_KEY"],
  certifier: ["DATABASE_URL", "CD_CERTIFIER_NATS_SEED", "EDGE_KEK", "CD_ACME_KEK"],
  billing: ["DATABASE_URL", "CD_BILLING_NATS_SEED"],
  webhooks: ["DATABASE_URL", "CD_WEBHOOKS_NATS_SEED", "WEBHOOK_KEK"],
  router: ["CD_ROUTER_NATS_SEED", "EDGE_KEK"]
}
const isSecret = (name: string) => /(_SEED|_KEK|_KEY|_CREDENTIAL|DATABASE_URL)$/.test(name)
/** Given where the operator has such a thing. */
const optionalSecrets: Readonly<Record<string, ReadonlyArray<string>>> = { connector: ["CD_ACME_DNS_CREDENTIAL"] }

interface ComposeService {
  readonly command?: ReadonlyArray<string>
  readonly environment?: Readonly<Record<string, string>>
}

describe("compose.yaml", () => {
  const compose: { services: Record<string, ComposeService> } = parseYaml(read("compose.yaml"), { merge: true })

  it.each(Object.entries(secrets))("%s runs its own file with its own secrets", (service, own) => {
    const { command, environment } = compose.services[service]!
    expect(command).toEqual([`services/${service}/src/main.ts`])
    expect(existsSync(join(root, command![0]!))).toBe(true)
    expect(Object.keys(environment!).filter(isSecret).sort()).toEqual([...own, ...(optionalSecrets[service] ?? [])].sort())
  })

  it.each(Object.keys(secrets))("%s accepts its settings when every secret is filled in", async (service) => {
    const key = `k1:${randomBytes(32).toString("base64")}`
    const filled: Readonly<Record<string, string>> = {
      CD_EDGE_HOSTNAME: "edge.example.com",
      CD_EDGE_ADDRESSES: "192.0.2.10,2001:db8::10",
      CD_ACME_CONTACT: "mailto:operator@example.com",
      DATABASE_URL: "postgres://connect_domain:password@postgres:5432/connect_domain",
      ...Object.fromEntries(createUsers().map(({ name, seed }) => [`CD_${name.toUpperCase()}_NATS_SEED`, seed])),
      ...Object.fromEntries(["CREDENTIAL_ENC_KEY", "EDGE_KEK", "WEBHOOK_KEK", "CD_ACME_KEK", "CD_TOKEN_KEY"].map((name) => [name, key]))
    }
    const fill = (text: string) => text.replace(/\$\{([A-Z_]+)(?::-([^}]*)|:\?[^}]*)?\}/g, (_, name, usual) => usual ?? filled[name] ?? "")
    const environment = Object.entries(compose.services[service]!.environment!).map(([name, value]) => [name, fill(String(value))])
    const { settings } = (await import(`../services/${service}/src/startSettings.ts`)) as { settings: ReadonlyArray<Setting> }
    const provider = ConfigProvider.fromEnvRecord(Object.fromEntries(environment))
    expect(await Effect.runPromise(Effect.provideService(wrongSettings(settings), ConfigProvider.ConfigProvider, provider))).toEqual([])
  })

  it("asks for every variable that example.env lists, and for no other", () => {
    // Those with a default (`:-`) need not be given.
    const asked = new Set([...read("compose.yaml").matchAll(/\$\{([A-Z_]+)(?!:-)[:}?]/g)].map((match) => match[1]!))
    const listed = [...read("example.env").matchAll(/^([A-Z_]+)=/gm)].map((match) => match[1]!)
    expect([...asked].sort()).toEqual(listed.sort())
  })
})

describe("nomad", () => {
  const groups = async (file: string) => {
    const { job } = (await parseHcl(file, read(`nomad/${file}`))) as {
      job: Record<string, Array<{ group: Record<string, Array<NomadGroup>> }>>
    }
    return Object.values(job)[0]![0]!.group
  }
  interface NomadTask {
    readonly config: Array<{ args: Array<string> }>
    readonly template: Array<{ data: string }>
    readonly env: Array<Record<string, string>>
  }
  interface NomadGroup {
    readonly task: Record<string, Array<NomadTask>>
  }

  it("gives every service the zone for _acme-challenge that compose.yaml gives it", async () => {
    const all = await groups("control.nomad.hcl")
    for (const [service, [group]] of Object.entries(all)) {
      const [env] = Object.values(group!.task)[0]![0]!.env
      expect([service, env!.CD_ACME_DNS_ZONE]).toEqual([service, `\${var.acme_dns_zone}`])
      expect([service, "CD_ACME_DNS_PROVIDER" in env!]).toEqual([service, service === "connector"])
    }
  })

  it("gives the router the node options and the allocator that compose.yaml gives it, and that the measurements use", async () => {
    const [group] = (await groups("edge.nomad.hcl")).router!
    const [env] = Object.values(group!.task)[0]![0]!.env
    const measured = { NODE_OPTIONS: routerOptions.join(" "), LD_PRELOAD: allocator }
    expect(env).toMatchObject(measured)
    expect(parseYaml(read("compose.yaml"), { merge: true }).services.router.environment).toMatchObject(measured)
    expect(read("images/Dockerfile")).toContain("libtcmalloc-minimal4=")
  })

  it("has a group for every service, each with its own file and its own secrets", async () => {
    const all = { ...(await groups("control.nomad.hcl")), ...(await groups("edge.nomad.hcl")) }
    expect(Object.keys(all).sort()).toEqual(Object.keys(secrets).sort())
    for (const [service, [group]] of Object.entries(all)) {
      const task = Object.values(group!.task)[0]![0]!
      expect(task.config[0]!.args).toEqual([`services/${service}/src/main.ts`])
      const given = [...task.template[0]!.data.matchAll(/^\s*([A-Z_]+)=/gm)].map((match) => match[1]!)
      expect(given.sort()).toEqual([...secrets[service]!, ...(optionalSecrets[service] ?? [])].sort())
    }
  })
})
