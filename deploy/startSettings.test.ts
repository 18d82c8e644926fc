/** Every variable that a program declares anywhere in its code is among those that it checks before it starts. */
import { existsSync, readFileSync } from "node:fs"
import { dirname, join, relative, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { settings as billing } from "@connect-domain/billing/startSettings.ts"
import { settings as certifier } from "@connect-domain/certifier/startSettings.ts"
import { settings as connector } from "@connect-domain/connector/startSettings.ts"
import type { Setting } from "@connect-domain/domain/Setting.ts"
import { settings as gateway } from "@connect-domain/gateway/startSettings.ts"
import { settings as lifecycle } from "@connect-domain/lifecycle/startSettings.ts"
import { settings as router } from "@connect-domain/router/startSettings.ts"
import { importsIn } from "@connect-domain/sandbox/checkArchitecture.ts"
import { collectSettings } from "@connect-domain/sandbox/collectSettings.ts"
import { settings as webhooks } from "@connect-domain/webhooks/startSettings.ts"
import { describe, expect, it } from "vitest"

const root = fileURLToPath(new URL("..", import.meta.url))
const declared = collectSettings(root)

const fileOf = (from: string, specifier: string): string | undefined => {
  if (specifier.startsWith(".")) return resolve(dirname(from), specifier)
  const [, name, path] = /^@connect-domain\/([^/]+)\/(.+)$/.exec(specifier) ?? []
  return ["libs", "services"].map((folder) => join(root, folder, name ?? "", "src", path ?? "")).find((file) => path && existsSync(file))
}

/** The service's own files, and those of libraries that it imports. */
const filesOf = (service: string): ReadonlySet<string> => {
  const seen = new Set<string>()
  const visit = (file: string) => {
    if (seen.has(file)) return
    seen.add(file)
    for (const specifier of importsIn(readFileSync(file, "utf8"))) {
      const next = fileOf(file, specifier)
      if (next?.endsWith(".ts")) visit(next)
    }
  }
  visit(join(root, "services", service, "src/service.ts"))
  return new Set([...seen].map((file) => relative(root, file)))
}

/** Declared in a library's file, and not read by these services. */
const unread: Readonly<Record<string, ReadonlyArray<string>>> = {
  gateway: ["CD_GATEWAY_HEALTH_LISTEN"],
  router: ["CD_EDGE_HOSTNAME"]
}
/** One file declares the key rings of all services. */
const rings = "libs/secrets/src/KeyRing.ts"

const ringsOf = (files: ReadonlySet<string>): ReadonlyArray<string> => {
  const text = [...files].map((file) => (file === rings ? "" : readFileSync(join(root, file), "utf8"))).join("\n")
  return [...text.matchAll(/keyRing\("([A-Z_]+)"\)/g)].map((match) => match[1]!)
}

const all: Readonly<Record<string, ReadonlyArray<Setting>>> = { billing, certifier, connector, gateway, lifecycle, router, webhooks }

describe("settings checked before a start", () => {
  for (const [service, settings] of Object.entries(all)) {
    it(`${service} checks all that it reads`, () => {
      const files = filesOf(service)
      const read = declared
        .filter((one) => one.places.some((place) => place !== rings && files.has(place)))
        .map((one) => one.name.replace("<SERVICE>", service.toUpperCase()))
      expect(read).toEqual(expect.arrayContaining(["CD_LOG_LEVEL", "NATS_URL", `CD_${service.toUpperCase()}_NATS_SEED`]))
      const checked = new Set(settings.map((setting) => setting.name))
      const missing = [...read, ...ringsOf(files)].filter((name) => !checked.has(name) && !unread[service]?.includes(name))
      expect(missing, "add it to startSettings.ts of the service").toEqual([])
    })
  }
})
