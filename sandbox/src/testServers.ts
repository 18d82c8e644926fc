/**
 * The servers and clients of others that integration tests run against (DNS, proxies, TLS clients): taken from Debian's stable
 * packages when they are missing and this is root.
 *
 * Owns: installing them without starting a service (they would take ports 53 and 80). Leaves to the tests: starting them on free ports, and
 * failing with a sentence when one is missing.
 */
import { execFile } from "node:child_process"
import { chmodSync, existsSync, rmSync, writeFileSync } from "node:fs"
import { delimiter, join } from "node:path"
import { promisify } from "node:util"

const run = promisify(execFile)

const wanted = [
  { program: "pdns_server", packages: ["pdns-server", "pdns-backend-sqlite3"] },
  { program: "named", packages: ["bind9", "bind9-dnsutils"] },
  { program: "haproxy", packages: ["haproxy"] },
  { program: "nginx", packages: ["nginx"] },
  { program: "openssl", packages: ["openssl"] },
  { program: "gnutls-cli", packages: ["gnutls-bin"] }
]

const isThere = (program: string): boolean =>
  [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin", "/sbin"].some((folder) =>
    existsSync(join(folder, program))
  )

/** A policy-rc.d that says no, in the place where Debian looks for it, unless the machine has one (a container image usually does). */
const policy = "/usr/sbin/policy-rc.d"

const install = async (packages: ReadonlyArray<string>): Promise<void> => {
  const own = !existsSync(policy)
  if (own) {
    writeFileSync(policy, "#!/bin/sh\nexit 101\n")
    chmodSync(policy, 0o755)
  }
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" }
  const options = { env, timeout: 600_000, maxBuffer: 64 * 1024 * 1024 }
  try {
    const arguments_ = ["install", "-y", "-q", "--no-install-recommends", ...packages]
    await run("apt-get", arguments_, options).catch(async () => {
      await run("apt-get", ["update", "-q"], options)
      await run("apt-get", arguments_, options)
    })
  } finally {
    if (own) rmSync(policy, { force: true })
  }
}

export const ensureTestServers = async (report: (line: string) => void): Promise<void> => {
  const packages = wanted.filter(({ program }) => !isThere(program)).flatMap((one) => one.packages)
  if (packages.length === 0) return
  const advice = `apt-get install -y --no-install-recommends ${packages.join(" ")}`
  if (process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get")) {
    report(`Some integration tests need servers that are missing and will fail. As root: ${advice}`)
    return
  }
  const began = Date.now()
  report(`Installing ${packages.join(", ")} ...`)
  const timer = setInterval(() => report(`... ${Math.round((Date.now() - began) / 1000)} s`), 5_000)
  try {
    await install(packages)
  } catch (error) {
    report(
      `That failed: ${String((error as { stderr?: string }).stderr ?? error)
        .trim()
        .split("\n")
        .slice(-2)
        .join(" ")}`
    )
  } finally {
    clearInterval(timer)
  }
}
