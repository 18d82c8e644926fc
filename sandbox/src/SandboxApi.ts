/**
 * The public API as the sandbox's own commands use it: JSON in, JSON out, an error that says what the API said.
 *
 * Owns: the calls of demo, `connect` and seeds.
 */
import type { WantedRecord } from "./CustomerDns.ts"
import { Refusal } from "./DevDirectory.ts"

export interface Connection {
  readonly id: string
  readonly hostname: string
  readonly state: string
  readonly error_code: string | null
  readonly desired_records: ReadonlyArray<WantedRecord & { readonly required?: boolean }>
  readonly ownership_challenge: { readonly name: string; readonly type: string; readonly value: string }
  readonly certificate: { readonly status: string; readonly ca: string | null; readonly not_after: string | null }
}

/** What a customer has to enter; the others are offered, and nothing waits for them. */
export const neededRecords = ({ desired_records }: Pick<Connection, "desired_records">): Connection["desired_records"] =>
  desired_records.filter(({ required }) => required !== false)

export class ApiRefusal extends Refusal {
  readonly status: number
  readonly code: string

  constructor(status: number, code: string, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

export class SandboxApi {
  readonly #base: string
  readonly #key: string

  constructor(base: string, key: string) {
    this.#base = base
    this.#key = key
  }

  async call<A>(method: string, path: string, body?: unknown): Promise<A> {
    const response = await fetch(`${this.#base}${path}`, {
      method,
      headers: { authorization: `Bearer ${this.#key}`, ...(body === undefined ? {} : { "content-type": "application/json" }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    const text = await response.text()
    if (response.ok) return (text === "" ? undefined : JSON.parse(text)) as A
    let error: { code?: string; message?: string; details?: unknown } = {}
    try {
      error = (JSON.parse(text) as { error: typeof error }).error ?? {}
    } catch {
      // Not JSON: shown as it is.
    }
    const details = error.details === undefined || error.details === null ? "" : ` ${JSON.stringify(error.details)}`
    throw new ApiRefusal(
      response.status,
      error.code ?? "",
      `${method} ${path}: ${response.status} ${error.code ?? ""} ${error.message ?? text}${details}`
    )
  }

  create(body: Readonly<Record<string, unknown>>): Promise<Connection> {
    return this.call("POST", "/v1/connections", body)
  }

  connection(id: string): Promise<Connection> {
    return this.call("GET", `/v1/connections/${id}`)
  }

  list<A>(path: string): Promise<{ readonly data: ReadonlyArray<A>; readonly next_cursor: string | null }> {
    return this.call("GET", path)
  }
}
