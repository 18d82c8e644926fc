/** The gateway as a process of its own: killed in the middle of a creation, started with wrong settings. */
import { type ChildProcess, spawn } from "node:child_process"
import { join } from "node:path"
import { freePorts } from "@connect-domain/domain/testing/freePorts.ts"
import { afterAll, beforeAll, expect, it } from "vitest"
import { eventually } from "./testing/eventually.ts"
import { type GatewayUnderTest, startGateway } from "./testing/GatewayUnderTest.ts"

const main = join(import.meta.dirname, "main.ts")
let gateway: GatewayUnderTest
const children: Array<ChildProcess> = []
beforeAll(async () => {
  gateway = await startGateway()
})
afterAll(async () => {
  for (const child of children) child.kill("SIGKILL")
  await gateway?.stop()
})

const run = (env: Readonly<Record<string, string>>) => {
  const child = spawn(process.execPath, [main], { env: { PATH: process.env.PATH, ...env }, stdio: ["ignore", "pipe", "pipe"] })
  children.push(child)
  let output = ""
  const note = (chunk: Buffer) => {
    output += chunk.toString()
  }
  child.stdout!.on("data", note)
  child.stderr!.on("data", note)
  return { child, output: () => output, exited: new Promise<number | null>((resolve) => child.once("exit", resolve)) }
}

const startOwn = async () => {
  const [api, internal] = (await freePorts(2)) as [number, number]
  const own = run({ ...gateway.env, CD_API_LISTEN: `127.0.0.1:${api}`, CD_INTERNAL_LISTEN: `127.0.0.1:${internal}` })
  const url = `http://127.0.0.1:${api}`
  await eventually(async () => expect((await fetch(`${url}/v1/plans`)).status).toBe(401))
  return { ...own, url }
}

const create = (url: string) =>
  fetch(`${url}/v1/connections`, {
    method: "POST",
    headers: { authorization: `Bearer ${gateway.mine.api_key}`, "idempotency-key": "crash" },
    body: JSON.stringify({ application_id: gateway.mine.application_id, hostname: "crash.acme.test" })
  })

it("killed between effect and answer, the repetition is the same connection", async () => {
  const first = await startOwn()
  let open = () => {}
  gateway.standIns.hold = new Promise((resolve) => {
    open = resolve
  })
  const lost = create(first.url).then(
    () => "answered",
    () => "lost"
  )
  await eventually(() => expect(gateway.standIns.createCalls).toHaveLength(1))
  const second = await startOwn()
  first.child.kill("SIGKILL")
  await first.exited
  open()
  gateway.standIns.hold = undefined
  expect(await lost).toBe("lost")
  expect((await create(second.url)).status).toBe(409) // its lock still stands
  const answer = await eventually(async () => {
    const again = await create(second.url)
    expect(again.status).toBe(201)
    return (await again.json()) as { readonly id: string }
  })
  expect(gateway.standIns.createCalls).toEqual([answer.id, answer.id])
  expect([...gateway.standIns.reserved]).toEqual([answer.id])
})

it("wrong settings: one line for each, and nothing was started", async () => {
  const wrong = run({
    NATS_URL: gateway.env.NATS_URL!,
    CD_MODE: "production",
    CD_EDGE_HOSTNAME: "not a name",
    CREDENTIAL_ENC_KEY: "k1:short",
    CD_NETWORK_ALLOW: "everything",
    CD_API_LISTEN: "8080",
    CD_RATE_LIMIT: "many"
  })
  expect(await wrong.exited).toBe(1)
  for (const name of [
    "DATABASE_URL",
    "CD_EDGE_HOSTNAME",
    "CREDENTIAL_ENC_KEY",
    "CD_TOKEN_KEY",
    "CD_NETWORK_ALLOW",
    "CD_API_LISTEN",
    "CD_RATE_LIMIT"
  ]) {
    expect(wrong.output()).toContain(name)
  }
})

it("a taken port is named", async () => {
  const taken = run({ ...gateway.env, CD_INTERNAL_LISTEN: "127.0.0.1:0" })
  expect(await taken.exited).toBe(1)
  expect(taken.output()).toContain(`CD_API_LISTEN=${gateway.env.CD_API_LISTEN}: the port is taken`)
})
