/**
 * Takes servers' programs from Debian's testing suite without changing the system: a private apt state, `download`, `dpkg -x`.
 *
 * Owns: that one way of installing, as root or not. Leaves to `findProgram.ts`: whether it is needed.
 * The mirror is the machine's own, read from its apt configuration; on Ubuntu and elsewhere Debian's public name is used when the
 * machine has Debian's keyring. Built against: a stable suite whose versions are too old for what we rely on.
 */
import { execFile } from "node:child_process"
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { programsDirectory } from "./DevDirectory.ts"

const run = promisify(execFile)
const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

/** The first Debian mirror in apt's configuration (one-line or deb822 form). Security and other archives hold no testing suite. */
export const mirrorIn = (text: string): string | undefined => {
  const addresses = [...text.matchAll(/^(?:deb\s+(?:\[[^\]]*\]\s*)?|URIs:\s*)((?:https?|mirror\+file|file):\S+)/gm)].map(
    (match) => match[1]!
  )
  return addresses.find((address) => /debian\/?$/.test(address) && !/security/.test(address))
}

const aptSources = (): string => {
  const folder = "/etc/apt/sources.list.d"
  const files = existsSync(folder) ? readdirSync(folder).map((file) => join(folder, file)) : []
  return ["/etc/apt/sources.list", ...files.filter((file) => /\.(list|sources)$/.test(file))]
    .filter((file) => existsSync(file))
    .map((file) => readFileSync(file, "utf8"))
    .join("\n")
}

const withProgress = async <A>(report: (line: string) => void, what: string, work: Promise<A>): Promise<A> => {
  const began = Date.now()
  report(`${what} ...`)
  const timer = setInterval(() => report(`${what} ... ${Math.round((Date.now() - began) / 1000)} s`), 5_000)
  try {
    return await work
  } finally {
    clearInterval(timer)
  }
}

/** Every program of the packages goes to `.dev/bin`: `pebble` brings the DNS server of the certifier's tests along. */
const unpack = async (folder: string): Promise<void> => {
  mkdirSync(programsDirectory, { recursive: true })
  const unpacked = join(folder, "unpacked")
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".deb"))) await run("dpkg", ["-x", join(folder, file), unpacked])
  for (const place of ["usr/bin", "usr/sbin"].map((part) => join(unpacked, part)).filter((part) => existsSync(part))) {
    for (const name of readdirSync(place)) {
      const draft = join(programsDirectory, `${name}.draft`)
      copyFileSync(join(place, name), draft)
      chmodSync(draft, 0o755)
      renameSync(draft, join(programsDirectory, name))
    }
  }
}

/** True when the packages were unpacked into `.dev/bin`; false, with a line that says why, when that can't work here. */
export const installFromDebian = async (names: ReadonlyArray<string>, report: (line: string) => void): Promise<boolean> => {
  if (!existsSync("/usr/bin/apt-get") || !existsSync("/usr/bin/dpkg")) return false
  if (!existsSync(keyring)) {
    report(`${keyring} is missing: servers can't be taken from Debian`)
    return false
  }
  const folder = mkdtempSync(join(tmpdir(), "connect-domain-apt-"))
  try {
    for (const part of ["lists/partial", "cache/archives/partial"]) mkdirSync(join(folder, part), { recursive: true })
    const mirror = mirrorIn(aptSources()) ?? "https://deb.debian.org/debian"
    writeFileSync(join(folder, "src.list"), `deb [signed-by=${keyring}] ${mirror} testing main\n`)
    const options = [
      ["Dir::State::Lists", join(folder, "lists")],
      ["Dir::Cache", join(folder, "cache")],
      ["Dir::Etc::SourceList", join(folder, "src.list")],
      ["Dir::Etc::SourceParts", "/dev/null"],
      ["APT::Sandbox::User", ""],
      ["Acquire::Languages", "none"]
    ].flatMap(([name, value]) => ["-o", `${name}=${value}`])
    await withProgress(report, "Reading Debian's list of packages", run("apt-get", [...options, "update"], { timeout: 300_000 }))
    await withProgress(
      report,
      `Downloading ${names.join(" and ")}`,
      run("apt-get", [...options, "download", ...names], { cwd: folder, timeout: 600_000 })
    )
    await unpack(folder)
    return true
  } catch (error) {
    report(
      `Debian's packages could not be had: ${String((error as { stderr?: string }).stderr || error)
        .trim()
        .split("\n")
        .slice(-2)
        .join(" ")}`
    )
    return false
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
