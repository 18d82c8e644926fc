/**
 * A real PowerDNS with an empty SQLite database, its HTTP API, and no caches: a change is visible at once.
 *
 * Needs `pdns_server` with the SQLite backend; the schema is the one that the package ships.
 */
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { freeDnsPort, freePorts } from "@connect-domain/domain/testing/freePorts.ts"
import { findProgram, startServer } from "./spawned.ts"

const schema = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql"

export type PowerDnsServer = {
  readonly url: string
  readonly apiKey: string
  readonly dnsPort: number
  readonly close: () => Promise<void>
}

export const startPowerDns = async (): Promise<PowerDnsServer> => {
  const program = findProgram("pdns_server", "pdns-server pdns-backend-sqlite3")
  const folder = mkdtempSync(join(tmpdir(), "cd-powerdns-"))
  const database = new DatabaseSync(join(folder, "zones.sqlite"))
  database.exec(readFileSync(schema, "utf8"))
  database.close()
  const dnsPort = await freeDnsPort()
  const [apiPort] = await freePorts(1, [dnsPort])
  const settings = [
    "launch=gsqlite3",
    `gsqlite3-database=${join(folder, "zones.sqlite")}`,
    "local-address=127.0.0.1",
    `local-port=${dnsPort}`,
    "webserver=yes",
    "webserver-address=127.0.0.1",
    `webserver-port=${apiPort}`,
    "webserver-allow-from=127.0.0.0/8",
    "api=yes",
    "api-key=test-key",
    `socket-dir=${folder}`,
    "cache-ttl=0",
    "query-cache-ttl=0",
    "negquery-cache-ttl=0",
    "zone-cache-refresh-interval=0",
    "default-soa-content=ns1.@ hostmaster.@ 0 10800 3600 604800 60"
  ]
  writeFileSync(join(folder, "pdns.conf"), `${settings.join("\n")}\n`)
  const server = await startServer({ program, args: [`--config-dir=${folder}`, "--daemon=no", "--guardian=no"], port: dnsPort, folder })
  return { url: `http://127.0.0.1:${apiPort}`, apiKey: "test-key", dnsPort, close: server.close }
}
