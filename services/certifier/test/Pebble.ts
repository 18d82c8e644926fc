/**
 * A real Pebble with a DNS server beside it, for the length of a scope.
 *
 * Owns: its own certificate authority for Pebble's HTTPS, free ports, the two processes. Every name resolves to 127.0.0.1 and every
 * HTTP-01 question goes to `httpPort`, where a `Responder` plays the routers.
 * Built against: a stand-in that agrees with our mistakes. Pebble refuses nonces, shuffles lists and forgets everything when restarted.
 * Two quirks of Pebble 2.10 that no setting ends: one new order in a hundred takes a valid authorization over from before, even with
 * PEBBLE_AUTHZREUSE=0 (the certificate's `challenge` is null then); and of 256 certificates one has a serial (first byte 0, second 0x80 or
 * more) that it does not find again, so every order that replaces it gets a 500 (letsencrypt/pebble#550).
 */
import { type ChildProcess, spawn } from "node:child_process"
import { X509Certificate } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { freePorts } from "@connect-domain/domain/testing/freePorts.ts"
import { Agent, fetch } from "undici"
import { makeAuthority } from "./madeCertificate.ts"

const bin = join(import.meta.dirname, "../../../.dev/bin")

/** A throw-away root and a `localhost` certificate under it, PEM. */
const makeHttpsCertificate = async () => {
  const authority = await makeAuthority("Test HTTPS")
  const { pem, keyPem } = await authority.leaf({ names: ["localhost"] })
  return { rootPem: authority.rootPem, certPem: `${pem}\n${authority.intermediatePem}\n`, keyPem }
}

export interface PebbleOptions {
  /** Percent of good nonces that are refused (default 5). */
  readonly nonceReject?: number
  /** Seconds of Retry-After on authorizations and orders (default none). */
  readonly retryAfter?: { readonly authz: number; readonly order: number }
  /** Seconds of validity by profile. */
  readonly profiles?: Readonly<Record<string, number>>
  readonly externalAccounts?: Readonly<Record<string, string>>
  readonly blocked?: ReadonlyArray<string>
  /** Ask HTTP-01 at this port instead of one of its own. */
  readonly httpPort?: number
  /** Use the HTTPS root and certificate of this one, so that one file makes both trusted. */
  readonly trust?: Pebble
  /** How many chains under other roots it offers besides its own (default none). */
  readonly alternateRoots?: number
  /** Sleep up to this many seconds before validating (default: no sleep). */
  readonly sleepSeconds?: number
}

export class Pebble {
  readonly #folder = mkdtempSync(join(tmpdir(), "pebble-"))
  readonly #options: PebbleOptions
  #ports: ReadonlyArray<number> = []
  #children: Array<ChildProcess> = []
  #agent = new Agent()
  #texts = Promise.resolve()
  #textSets = 0
  #https = { rootPem: "", certPem: "", keyPem: "" }
  log = ""

  private constructor(options: PebbleOptions) {
    this.#options = options
  }

  static async start(options: PebbleOptions = {}): Promise<Pebble> {
    const pebble = new Pebble(options)
    pebble.#ports = await freePorts(6)
    const { rootPem, certPem, keyPem } = options.trust === undefined ? await makeHttpsCertificate() : options.trust.#https
    pebble.#https = { rootPem, certPem, keyPem }
    for (const [name, text] of Object.entries({ "root.pem": rootPem, "cert.pem": certPem, "key.pem": keyPem })) {
      writeFileSync(join(pebble.#folder, name), text)
    }
    pebble.#agent = new Agent({ connect: { ca: rootPem } })
    writeFileSync(join(pebble.#folder, "config.json"), JSON.stringify({ pebble: pebble.#config() }))
    await pebble.#startDns()
    await pebble.#startCa()
    return pebble
  }

  get directory() {
    return `https://localhost:${this.#ports[0]}/dir`
  }
  get management() {
    return `https://localhost:${this.#ports[1]}`
  }
  /** Where HTTP-01 questions arrive. */
  get httpPort() {
    return this.#options.httpPort ?? this.#ports[2]!
  }
  get tlsPort() {
    return this.#ports[3]!
  }
  /** PEM of the root that signed Pebble's own HTTPS certificate. */
  get caFile() {
    return join(this.#folder, "root.pem")
  }
  get dnsManagement() {
    return `http://127.0.0.1:${this.#ports[5]}`
  }

  /** Kills the CA and starts an empty one at the same address: accounts, orders and roots are gone. */
  async restart(): Promise<void> {
    await this.stopCa()
    await this.#startCa()
  }

  async stopCa(): Promise<void> {
    await end(this.#children.splice(1, 1)[0])
  }

  async startCa(): Promise<void> {
    await this.#startCa()
  }

  async root(index = 0): Promise<string> {
    return await (await fetch(`${this.management}/roots/${index}`, { dispatcher: this.#agent })).text()
  }

  /** Common names of its first `count` roots. */
  async rootNames(count: number): Promise<ReadonlyArray<string>> {
    const pems = await Promise.all(Array.from({ length: count }, (_, index) => this.root(index)))
    return pems.map((pem) => /CN=(.+)/.exec(new X509Certificate(pem).subject)![1]!)
  }

  /** `Valid` or `Revoked`. */
  async certificateStatus(serial: string): Promise<string> {
    const response = await fetch(`${this.management}/cert-status-by-serial/${serial}`, { dispatcher: this.#agent })
    return ((await response.json()) as { Status: string }).Status
  }

  /** Whether it finds the certificate again when an order replaces it (see above). `serial`: hexadecimal, without leading zero bytes. */
  static finds(serial: string): boolean {
    return !(serial.length === 14 && /^[89a-f]/i.test(serial))
  }

  /** Moves the renewal window of the certificate `pem`. */
  async setRenewalWindow(pem: string, start: Date, end: Date): Promise<void> {
    const ARIResponse = JSON.stringify({ suggestedWindow: { start: start.toISOString(), end: end.toISOString() } })
    const body = JSON.stringify({ Certificate: pem, ARIResponse })
    const response = await fetch(`${this.management}/set-renewal-info/`, { method: "POST", body, dispatcher: this.#agent })
    if (response.status !== 200) throw new Error(`set-renewal-info: ${response.status} ${await response.text()}`)
  }

  /**
   * Makes these the TXT values of a name in the DNS that the CA asks: all at once, and one call after the other. The server can only add a
   * value or clear a name, so each set has a name of its own and an alias is turned to it: the CA never looks while some are missing.
   */
  setTexts(name: string, values: ReadonlyArray<string>): Promise<void> {
    const ask = (path: string, body: object) => fetch(`${this.dnsManagement}/${path}`, { method: "POST", body: JSON.stringify(body) })
    this.#texts = this.#texts.then(async () => {
      const target = `set-${++this.#textSets}.${name}.`
      for (const value of values) await ask("set-txt", { host: target, value })
      await ask("set-cname", { host: `${name}.`, target })
    })
    return this.#texts
  }

  /** Lines of Pebble's log that contain `text`. */
  logged(text: string): number {
    return this.log.split("\n").filter((line) => line.includes(text)).length
  }

  async stop(): Promise<void> {
    await Promise.all(this.#children.map(end))
    await this.#agent.destroy()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #config() {
    const [listen, management, , tlsPort] = this.#ports
    const { externalAccounts, profiles = { default: 7_776_000, shortlived: 576_000 } } = this.#options
    return {
      listenAddress: `127.0.0.1:${listen}`,
      managementListenAddress: `127.0.0.1:${management}`,
      certificate: join(this.#folder, "cert.pem"),
      privateKey: join(this.#folder, "key.pem"),
      httpPort: this.httpPort,
      tlsPort,
      keyAlgorithm: "ecdsa",
      retryAfter: this.#options.retryAfter ?? { authz: 0, order: 0 },
      externalAccountBindingRequired: externalAccounts !== undefined,
      externalAccountMACKeys: externalAccounts ?? {},
      domainBlocklist: this.#options.blocked ?? [],
      profiles: Object.fromEntries(Object.entries(profiles).map(([name, validityPeriod]) => [name, { description: name, validityPeriod }]))
    }
  }

  async #startDns(): Promise<void> {
    const args = ["-dnsserver", `127.0.0.1:${this.#ports[4]}`, "-management", `127.0.0.1:${this.#ports[5]}`]
    const off = ["-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "", "-defaultIPv6", "", "-defaultIPv4", "127.0.0.1"]
    this.#children.push(spawn(join(bin, "pebble-challtestsrv"), [...args, ...off], { stdio: "ignore" }))
  }

  async #startCa(): Promise<void> {
    const { sleepSeconds, nonceReject = 5, alternateRoots = 0 } = this.#options
    const alternates = alternateRoots === 0 ? {} : { PEBBLE_ALTERNATE_ROOTS: String(alternateRoots) }
    const sleep = sleepSeconds === undefined ? { PEBBLE_VA_NOSLEEP: "1" } : { PEBBLE_VA_SLEEPTIME: String(sleepSeconds) }
    const child = spawn(join(bin, "pebble"), ["-config", join(this.#folder, "config.json"), "-dnsserver", `127.0.0.1:${this.#ports[4]}`], {
      env: { PATH: process.env.PATH, PEBBLE_WFE_NONCEREJECT: String(nonceReject), PEBBLE_AUTHZREUSE: "0", ...alternates, ...sleep }
    })
    child.stdout.on("data", (data: Buffer) => {
      this.log += data.toString()
    })
    child.stderr.on("data", (data: Buffer) => {
      this.log += data.toString()
    })
    this.#children.splice(1, 0, child)
    for (let attempt = 0; attempt < 400; attempt++) {
      if (child.exitCode !== null) throw new Error(`pebble ended: ${this.log}`)
      const up = await fetch(this.directory, { dispatcher: this.#agent }).then(
        (r) => r.text().then(() => r.ok),
        () => false
      )
      if (up) return
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
    throw new Error(`pebble does not answer: ${this.log}`)
  }
}

const end = async (child: ChildProcess | undefined): Promise<void> => {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once("exit", resolve))
  child.kill("SIGKILL")
  await ended
}
