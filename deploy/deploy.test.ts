/** The deployment files are read by a program: they parse, start files that exist, and give each service its own secrets alone. */
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { parse as parseHcl } from "@cdktf/hcl2json"
import { describe, expect, it } from "vitest"
import { parse as parseYaml } from "yaml"

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
const isSecret = (name: string) => /(_SEED|_KEK|_KEY|DATABASE_URL)$/.test(name)

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
    expect(Object.keys(environment!).filter(isSecret).sort()).toEqual([...own].sort())
  })

  it("asks for every variable that example.env lists, and for no other", () => {
    const asked = new Set([...read("compose.yaml").matchAll(/\$\{([A-Z_]+)(?!:-)[:}?]/g)].map((match) => match[1]!))
    const listed = [...read("example.env").matchAll(/^([A-Z_]+)=/gm)].map((match) => match[1]!)
    const optional = ["CD_IMAGE", "CD_LOG_LEVEL", "CD_EDGE_ID", "OTEL_EXPORTER_OTLP_ENDPOINT"]
    expect([...asked].filter((name) => !optional.includes(name)).sort()).toEqual(listed.sort())
  })
})

describe("nomad", () => {
  const groups = async (file: string) => {
    const { job } = (await parseHcl(file, read(`nomad/${file}`))) as {
      job: Record<string, Array<{ group: Record<string, Array<NomadGroup>> }>>
    }
    return Object.values(job)[0]![0]!.group
  }
  interface NomadGroup {
    readonly task: Record<string, Array<{ config: Array<{ args: Array<string> }>; template: Array<{ data: string }> }>>
  }

  it("has a group for every service, each with its own file and its own secrets", async () => {
    const all = { ...(await groups("control.nomad.hcl")), ...(await groups("edge.nomad.hcl")) }
    expect(Object.keys(all).sort()).toEqual(Object.keys(secrets).sort())
    for (const [service, [group]] of Object.entries(all)) {
      const task = Object.values(group!.task)[0]![0]!
      expect(task.config[0]!.args).toEqual([`services/${service}/src/main.ts`])
      const given = [...task.template[0]!.data.matchAll(/^\s*([A-Z_]+)=/gm)].map((match) => match[1]!)
      expect(given.sort()).toEqual([...secrets[service]!].sort())
    }
  })
})
