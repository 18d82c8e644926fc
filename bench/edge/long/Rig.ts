/**
 * What the long runs share: a control plane on a real NATS, tenants with origins that say whose they are, router processes.
 *
 * Owns: names and their tenants, starting and replacing processes. Leaves to the runs: load, faults, verdicts. All of it on loopback.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { HostnameEntry } from "@connect-domain/messages/buckets.ts"
import { ControlPlane } from "@connect-domain/router/testing/ControlPlane.ts"
import { EdgeProcess, type Ports } from "@connect-domain/router/testing/EdgeProcess.ts"
import { RawOrigin } from "@connect-domain/router/testing/RawOrigin.ts"
import { checkPreloaded, routerEnvironment, routerOptions } from "../routerOptions.ts"

export const tenants = 8

export class Rig {
  readonly plane: ControlPlane
  /** Who holds each name, as the control plane said last. */
  readonly entries = new Map<string, HostnameEntry>()
  private readonly origins: ReadonlyArray<RawOrigin>
  private readonly folder = mkdtempSync(join(tmpdir(), "edge-long-"))
  private started = 0

  private constructor(plane: ControlPlane, origins: ReadonlyArray<RawOrigin>) {
    this.plane = plane
    this.origins = origins
  }

  /** Each tenant's origin answers every request with the tenant's name, whatever it is asked. */
  static async start(): Promise<Rig> {
    const origins = await Promise.all(Array.from({ length: tenants }, (_, at) => tenantOrigin(`tenant-${at}`)))
    return new Rig(await ControlPlane.start(), origins)
  }

  /** Holds `hostname` for a tenant, with a certificate of a claim of its own; returns the registry's revision. */
  async hold(hostname: string, tenant: number): Promise<number> {
    const claim_id = `claim-${hostname}-${tenant}-${this.entries.size}-${Math.random().toString(36).slice(2)}`
    const fields = { origin: this.origins[tenant]!.url, tenant_id: `tenant-${tenant}`, claim_id }
    const { entry, revision } = await this.plane.hold(hostname, fields)
    this.entries.set(hostname, entry)
    return revision
  }

  /** A router that knows everything that was said so far. */
  async edge(environment: Readonly<Record<string, string>> = {}, ports?: Ports): Promise<{ edge: EdgeProcess; id: string }> {
    const id = `edge-${this.started++}`
    const about = { NATS_URL: this.plane.nats.url, CD_EDGE_ID: id, CD_EDGE_SNAPSHOT_DIR: join(this.folder, id), CD_LOG_LEVEL: "info" }
    const node = { NODE_OPTIONS: routerOptions.join(" "), ...routerEnvironment }
    const edge = await EdgeProcess.start({ ...about, ...node, ...environment }, ports)
    checkPreloaded(edge.child.pid!)
    return { edge, id }
  }

  async stop(): Promise<void> {
    for (const origin of this.origins) await origin.stop()
    await this.plane.stop()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Keeps no bytes: long runs send many. */
const tenantOrigin = async (name: string): Promise<RawOrigin> => {
  const answer = `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${name.length}\r\n\r\n${name}`
  const origin: RawOrigin = await RawOrigin.start((socket, piece, connection) => {
    origin.received[connection] = ""
    // The edge sends one request at a time; a body comes in the same segment or is waited for.
    const waited = pending.get(socket) ?? ""
    const text = waited + piece
    const end = text.indexOf("\r\n\r\n")
    const length = Number(/\r\ncontent-length: ([0-9]+)/i.exec(text)?.[1] ?? 0)
    if (end < 0 || text.length < end + 4 + length) return void pending.set(socket, text)
    pending.delete(socket)
    socket.write(answer)
  })
  const pending = new WeakMap<object, string>()
  return origin
}
