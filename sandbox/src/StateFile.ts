/**
 * `.dev/state.json`: where a running sandbox can be reached, for people and programs. A contract: fields are only added.
 *
 * Owns: its shape. Leaves to `Supervisor.ts`: keeping it true while processes die and come back.
 * URLs carry a scheme and no trailing slash; `dns.address` is ip:port; `pids` has an entry per service and per server; in one process
 * the services share a pid. The file is absent while the sandbox is down. Mode 0600: it holds keys.
 */
import { type DevDirectory, Refusal, readJson } from "./DevDirectory.ts"
import type { Tenant } from "./seed.ts"

export interface SandboxState {
  readonly api: string
  readonly internal: string
  readonly edge_http: string
  readonly edge_https: string
  readonly api_key: string
  readonly application_id: string
  readonly tenant_id: string
  /** `api_url` is the base before `/api/v1/servers/localhost`, also the `url` of a `powerdns` credential. */
  readonly dns: { readonly address: string; readonly api_url: string; readonly api_key: string }
  /** `root_ca`: PEM bundle of the roots that served certificates chain to; `directory` is null when the internal authority issues. */
  readonly acme: {
    readonly directory: string | null
    readonly root_ca: string
    readonly management: string | null
    readonly tls_ca: string | null
  }
  readonly other: Tenant
  readonly nats_url: string
  readonly database_url: string
  readonly origin: string
  readonly webhook_sink: { readonly url: string; readonly received: string }
  readonly pids: Readonly<Record<string, number>>
}

export const readState = (directory: DevDirectory): SandboxState => {
  const state = readJson<SandboxState>(directory.state)
  if (state === undefined) throw new Refusal("No sandbox is running here. Start one with './dev up'.")
  return state
}
