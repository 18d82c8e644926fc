/**
 * A real BIND with one zone that takes updates signed with one key, as `tsig-keygen` makes it.
 *
 * Needs `named` and `tsig-keygen`. The zone's name server is the server itself.
 */
import { execFileSync } from "node:child_process"
import { mkdtempSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { freeDnsPort } from "@connect-domain/domain/testing/freePorts.ts"
import { findProgram, startServer } from "./spawned.ts"

export type BindServer = {
  readonly port: number
  readonly keyName: string
  readonly secret: string
  readonly algorithm: string
  /** Its own, removed by `close`. */
  readonly folder: string
  readonly close: () => Promise<void>
}

const zoneText = (zone: string) => `$TTL 300
@ IN SOA ns1.${zone}. hostmaster.${zone}. 1 3600 600 86400 5
@ IN NS ns1.${zone}.
ns1 IN A 127.0.0.1
`

/** `algorithm`: one that tsig-keygen knows, such as hmac-sha256. */
export const startBind = async (zones: ReadonlyArray<string>, algorithm = "hmac-sha256"): Promise<BindServer> => {
  const program = findProgram("named", "bind9 bind9-dnsutils")
  const keygen = findProgram("tsig-keygen", "bind9 bind9-dnsutils")
  const folder = mkdtempSync(join(tmpdir(), "cd-bind-"))
  const keyName = "cd-test-key"
  const key = execFileSync(keygen, ["-a", algorithm, keyName], { encoding: "utf8" })
  const secret = /secret "([^"]+)"/.exec(key)?.[1] ?? ""
  const port = await freeDnsPort()
  const zone = (name: string) => {
    writeFileSync(join(folder, `${name}.zone`), zoneText(name))
    return `zone "${name}" { type primary; file "${join(folder, `${name}.zone`)}"; update-policy { grant ${keyName} zonesub ANY; }; };`
  }
  const options = `options { directory "${folder}"; pid-file none; session-keyfile "${join(folder, "session.key")}"; listen-on port ${port} { 127.0.0.1; }; listen-on-v6 { none; }; recursion no; dnssec-validation no; notify no; };`
  writeFileSync(join(folder, "named.conf"), [key, options, "controls { };", ...zones.map(zone)].join("\n"))
  const server = await startServer({ program, args: ["-g", "-c", join(folder, "named.conf")], port, folder })
  return { port, keyName, secret, algorithm, folder, close: server.close }
}
