/**
 * A receiver of webhooks as a vendor would write it: verifies each signature, keeps what came, shows it.
 *
 * `POST /` (any path but /secrets) receives. `GET /received` answers a JSON array, oldest first:
 * the event's own fields (`id, type, jobId, data, sequence, sent_at`) beside `{received_at, path, headers, body, raw, verified, problem}`,
 * where `raw` is the body as it came and `verified` says that `X-CD-Signature` is right and fresh.
 * `PUT /secrets {"secrets":["whsec_…"]}` adds secrets to verify with; `DELETE /received` forgets. Keeps the last 20,000 in memory.
 * Listens on CD_WEBHOOK_SINK_LISTEN. It verifies with code of its own on purpose: it must not share a mistake with the sender.
 */
import { createHmac, timingSafeEqual } from "node:crypto"
import { readFileSync, writeFileSync } from "node:fs"
import { createServer, type IncomingMessage } from "node:http"
import { listenOn } from "./listenOn.ts"

interface Received {
  readonly received_at: string
  readonly path: string
  readonly headers: IncomingMessage["headers"]
  readonly body: unknown
  readonly raw: string
  readonly verified: boolean
  readonly problem: string | null
}

const file = process.env.CD_WEBHOOK_SINK_SECRETS
const secrets = new Set<string>()
const received: Array<Received> = []

const remember = (): void => {
  if (file !== undefined) writeFileSync(file, JSON.stringify([...secrets]), { mode: 0o600 })
}
try {
  for (const secret of file === undefined ? [] : (JSON.parse(readFileSync(file, "utf8")) as Array<string>)) secrets.add(secret)
} catch {
  // None kept yet.
}

/** Null when right. HMAC-SHA256 over `${timestamp}.${rawBody}`, keyed by the UTF-8 bytes of the whole secret. */
const problemOf = (headers: IncomingMessage["headers"], raw: Buffer): string | null => {
  const timestamp = String(headers["x-cd-timestamp"] ?? "")
  const signature = String(headers["x-cd-signature"] ?? "")
  if (timestamp === "" || signature === "") return "not signed"
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > 300) return "the timestamp is more than 5 minutes off"
  for (const secret of secrets) {
    const expected = Buffer.from(`sha256=${createHmac("sha256", secret).update(`${timestamp}.`).update(raw).digest("hex")}`)
    const given = Buffer.from(signature)
    if (given.length === expected.length && timingSafeEqual(given, expected)) return null
  }
  return "the signature fits none of the known secrets"
}

const parsed = (raw: Buffer): unknown => {
  try {
    return JSON.parse(raw.toString("utf8"))
  } catch {
    return raw.toString("utf8")
  }
}

const bodyOf = async (request: IncomingMessage): Promise<Buffer> => {
  const parts: Array<Buffer> = []
  for await (const part of request) parts.push(part as Buffer)
  return Buffer.concat(parts)
}

const answer = async (request: IncomingMessage): Promise<readonly [number, string]> => {
  const raw = await bodyOf(request)
  const path = request.url ?? "/"
  if (request.method === "GET") return [200, JSON.stringify(received)]
  if (request.method === "DELETE") {
    received.length = 0
    return [200, "{}"]
  }
  if (request.method === "PUT" && path === "/secrets") {
    for (const secret of (JSON.parse(raw.toString()) as { secrets: Array<string> }).secrets) secrets.add(secret)
    remember()
    return [200, "{}"]
  }
  const problem = problemOf(request.headers, raw)
  const body = parsed(raw)
  received.push({
    ...(typeof body === "object" ? body : {}),
    received_at: new Date().toISOString(),
    path,
    headers: request.headers,
    body,
    raw: raw.toString("utf8"),
    verified: problem === null,
    problem
  })
  if (received.length > 20_000) received.splice(0, 1_000)
  return [200, "{}"]
}

const server = createServer((request, response) => {
  answer(request)
    .catch((error: unknown) => [400, JSON.stringify({ error: String(error) })] as const)
    .then(([status, body]) => {
      response.writeHead(status, { "content-type": "application/json" })
      response.end(body)
    })
})

listenOn(server, "CD_WEBHOOK_SINK_LISTEN")
