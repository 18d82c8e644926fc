/** Story: a vendor sets what happens at the edge, for one hostname and for all of them, and visitors see it at once. */
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { addRecords, api, ask, createManual, killAndAwait, newHostname, state, until, untilState } from "./Stack.ts"
import { echoOf, visit, visitPlain } from "./Visitor.ts"

let application: string
let origin: Server
let originUrl: string

beforeAll(async () => {
  origin = createServer((request, response) => {
    response.setHeader("strict-transport-security", "max-age=1")
    response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.headers }))
  })
  await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve))
  originUrl = `http://127.0.0.1:${(origin.address() as AddressInfo).port}`
  const body = { name: "Edge", origin: originUrl, environment: "test" }
  application = (await api.call<{ id: string }>("POST", "/v1/applications", body)).id
})
afterAll(() => {
  origin.closeAllConnections()
  origin.close()
})

const connect = async (hostname: string) => {
  const connection = await createManual(hostname, { application_id: application })
  await addRecords(connection)
  return untilState(connection.id, "live")
}
const change = (id: string, body: unknown) => api.call<{ edge: unknown }>("PATCH", `/v1/connections/${id}`, body as never)
const changeAll = (body: unknown) => api.call<{ edge: unknown }>("PATCH", `/v1/applications/${application}`, body as never)
/** Visitors see it; the last answer. */
const seen = async (hostname: string, enough: (answer: Awaited<ReturnType<typeof visit>>) => boolean, path = "/") =>
  until(
    `${hostname} shows it`,
    async () => {
      const answer = await visit(hostname, { path, headers: { accept: "text/html" } })
      if (!enough(answer)) throw new Error(`status ${answer.status}`)
      return answer
    },
    10
  )

describe("settings at the edge", () => {
  it("of one connection: redirect, maintenance, HSTS, host header, an origin with a path", async () => {
    const www = newHostname("www")
    const apex = www.slice(4)
    const connection = await connect(apex)
    await expect(change(connection.id, { edge: { redirect: "www" } })).rejects.toThrow(/redirect_target_not_connected|is not connected/)
    await connect(www)
    await change(connection.id, { edge: { redirect: "www", hsts: { max_age: 86_400 } } })
    const redirected = await seen(apex, ({ status }) => status === 308, "/a?b=c")
    expect(redirected.headers.location).toBe(`https://${www}/a?b=c`)
    expect(redirected.headers["strict-transport-security"]).toBe("max-age=86400")
    expect((await visitPlain(apex)).headers["strict-transport-security"]).toBeUndefined()

    await change(connection.id, { edge: { redirect: null, maintenance: { retry_after: 77 } } })
    const closed = await seen(apex, ({ status }) => status === 503)
    expect(closed.headers["retry-after"]).toBe("77")
    expect((await visitPlain(apex, "/x")).status).toBe(308)

    await change(connection.id, { edge: { maintenance: null, host_header: "origin" }, origin: `${originUrl}/tenants/x` })
    const open = await seen(apex, ({ status }) => status === 200, "/p")
    expect([echoOf(open).url, echoOf(open).headers.host]).toEqual(["/tenants/x/p", new URL(originUrl).host])
    expect(open.headers["strict-transport-security"]).toBe("max-age=86400")
    await change(connection.id, { edge: null, origin: null })
    expect((await seen(apex, (answer) => echoOf(answer).url === "/p", "/p")).headers["strict-transport-security"]).toBe("max-age=1")
  })

  it("of an application hold for its hostnames, its page too, also after the router starts again", async () => {
    const [one, two] = [newHostname(), newHostname()]
    const [first] = [await connect(one), await connect(two)]
    await changeAll({ edge: { maintenance: true }, error_page: "<!doctype html><h1>{title}</h1><p>{hostname} {request_id}</p>" })
    const page = await seen(one, ({ status }) => status === 503)
    expect(page.body).toMatch(new RegExp(`^<!doctype html><h1>Maintenance</h1><p>${one} [0-9a-z-]+</p>$`))
    expect(page.headers["content-security-policy"]).toContain("default-src 'none'")
    await change(first.id, { edge: { maintenance: false } })
    await seen(one, ({ status }) => status === 200)
    await seen(two, ({ status }) => status === 503)
    if (state().pids.router !== undefined) await killAndAwait("router")
    await seen(two, ({ status }) => status === 503)
    await changeAll({ edge: null, error_page: null })
    await seen(two, ({ status }) => status === 200)
  })

  it("of an archived connection are refused with a way out", async () => {
    const { id } = await createManual(newHostname())
    await api.call("DELETE", `/v1/connections/${id}`)
    const { status, body } = await ask(state().api_key, "PATCH", `/v1/connections/${id}`, { edge: { maintenance: true } })
    expect(status).toBe(409)
    expect(body?.error).toMatchObject({ code: "connection_archived", message: expect.stringContaining("POST /v1/connections") })
  })
})
