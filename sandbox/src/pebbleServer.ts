/**
 * The sandbox's certificate authority: Pebble, whose validations use the sandbox's DNS and the edge's HTTP port.
 *
 * Owns: its configuration and the bundle of its roots. Leaves to the certifier: everything ACME.
 * Pebble keeps all in memory and makes a new root at each start. The bundle keeps the last few roots, so that a certificate of the
 * previous start still verifies until it is replaced.
 */
import { readFileSync } from "node:fs"
import { request } from "node:https"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { type DevDirectory, writeJson, writeWhole } from "./DevDirectory.ts"
import type { ProcessPlan } from "./ManagedProcess.ts"
import type { Ports } from "./ports.ts"
import { serverCertificate } from "./testCertificateAuthority.ts"

const keptRoots = 4

export const acmeDirectoryUrl = (ports: Ports): string => `https://127.0.0.1:${ports.acme}/dir`
export const acmeManagementUrl = (ports: Ports): string => `https://127.0.0.1:${ports.acmeManagement}`
export const acmeAuthorityFile = (directory: DevDirectory): string => join(directory.pebble, "authority.pem")

/** Undefined for anything but a 200. */
const fetchText = (url: string, authority: string): Promise<string | undefined> =>
  new Promise((resolve) => {
    // Pebble answers 400 to a request without User-Agent.
    const call = request(
      url,
      { ca: authority, timeout: 2_000, agent: false, headers: { "user-agent": "connect-domain-sandbox" } },
      (response) => {
        let text = ""
        response.setEncoding("utf8")
        response.on("data", (part: string) => {
          text += part
        })
        response.on("end", () => resolve(response.statusCode === 200 ? text : undefined))
        response.on("error", () => resolve(undefined))
      }
    )
    call.on("timeout", () => call.destroy())
    call.on("error", () => resolve(undefined))
    call.end()
  })

const certificatesIn = (pem: string): ReadonlyArray<string> =>
  pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g)?.map((part) => part.trim()) ?? []

const existing = (path: string): string => {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return ""
  }
}

/** Puts Pebble's present roots in front of the bundle. */
export const collectRoots = async (directory: DevDirectory, ports: Ports): Promise<void> => {
  const authority = readFileSync(acmeAuthorityFile(directory), "utf8")
  const roots: Array<string> = []
  for (let number = 0; number < 8; number++) {
    const root = await fetchText(`${acmeManagementUrl(ports)}/roots/${number}`, authority)
    if (root === undefined) break
    roots.push(...certificatesIn(root))
  }
  const all = [...new Set([...roots, ...certificatesIn(existing(directory.roots))])]
  writeWhole(directory.roots, `${all.slice(0, roots.length + keptRoots).join("\n")}\n`)
}

export const pebblePlan = async (options: {
  readonly program: string
  readonly directory: DevDirectory
  readonly ports: Ports
  readonly dnsAddress: string
  readonly log: string
}): Promise<ProcessPlan> => {
  const { directory, ports } = options
  const files = await serverCertificate(directory.pebble)
  const file = join(directory.pebble, "pebble.json")
  writeJson(file, {
    pebble: {
      listenAddress: `127.0.0.1:${ports.acme}`,
      managementListenAddress: `127.0.0.1:${ports.acmeManagement}`,
      certificate: files.certificate,
      privateKey: files.key,
      httpPort: ports.edgeHttp,
      tlsPort: ports.edgeHttps,
      ocspResponderURL: "",
      externalAccountBindingRequired: false,
      domainBlocklist: [],
      // Of several profiles Pebble picks one at random when an order names none.
      profiles: { default: { description: "90 days", validityPeriod: 7_776_000 } }
    }
  })
  const authority = readFileSync(files.authority, "utf8")
  return {
    name: "pebble",
    records: ["pebble"],
    command: options.program,
    arguments: ["-config", file, "-dnsserver", options.dnsAddress],
    environment: { PATH: process.env.PATH, PEBBLE_VA_NOSLEEP: "1", PEBBLE_WFE_NONCEREJECT: "5", PEBBLE_AUTHZREUSE: "0" },
    log: options.log,
    stopSignal: "SIGTERM",
    readyWithinSeconds: 30,
    ready: async (signal) => {
      const up = async () => (await fetchText(acmeDirectoryUrl(ports), authority)) !== undefined
      while (!signal.aborted && !(await up())) await sleep(30)
      if (!signal.aborted) await collectRoots(directory, ports)
    }
  }
}
