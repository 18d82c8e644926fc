/**
 * Writes the nats-server.conf of a deployment: `node libs/nats/src/writeServerConfig.ts [--seeds deploy/.env] [--output
 * deploy/nats/server.conf] [--store /data] [--listen 0.0.0.0:4222] [--tls-cert FILE --tls-key FILE]`.
 *
 * Owns: the deployment's NATS users. A seed that is missing in the environment file is made and written there (mode 0600); the
 * configuration holds public keys only. Run it again after an update: permissions follow the message catalogue.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { parseArgs } from "node:util"
import { createUsers, publicKeyOf, serverConfiguration } from "./serverConfiguration.ts"

const root = join(import.meta.dirname, "../../..")

/** The environment file's text with every missing seed filled in; exported for its test. */
export const withSeeds = (text: string): { readonly text: string; readonly seeds: ReadonlyMap<string, string> } => {
  const seeds = new Map<string, string>()
  let result = text
  for (const { name, seed } of createUsers()) {
    const variable = `CD_${name.toUpperCase()}_NATS_SEED`
    const line = new RegExp(`^${variable}=(.*)$`, "m")
    const present = line.exec(result)?.[1]?.trim()
    seeds.set(name, present || seed)
    if (present) continue
    result = line.test(result) ? result.replace(line, `${variable}=${seed}`) : `${result.replace(/\n?$/, "\n")}${variable}=${seed}\n`
  }
  return { text: result, seeds }
}

const main = () => {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string", default: join(root, "deploy/.env") },
      output: { type: "string", default: join(root, "deploy/nats/server.conf") },
      store: { type: "string", default: "/data" },
      listen: { type: "string", default: "0.0.0.0:4222" },
      "tls-cert": { type: "string" },
      "tls-key": { type: "string" }
    }
  })
  const environmentFile = values.seeds
  const { text, seeds } = withSeeds(existsSync(environmentFile) ? readFileSync(environmentFile, "utf8") : "")
  writeFileSync(environmentFile, text, { mode: 0o600 })
  const colon = values.listen.lastIndexOf(":")
  const users = createUsers().map(({ name }) => ({ name, publicKey: publicKeyOf(seeds.get(name)!) }))
  const configuration = serverConfiguration({
    listen: { host: values.listen.slice(0, colon), port: Number(values.listen.slice(colon + 1)) },
    monitoringPort: 8222,
    storeFolder: values.store,
    users,
    ...(values["tls-cert"] === undefined || values["tls-key"] === undefined
      ? {}
      : { tls: { certFile: values["tls-cert"], keyFile: values["tls-key"] } })
  })
  mkdirSync(dirname(values.output), { recursive: true })
  writeFileSync(values.output, configuration)
  console.log(`wrote ${values.output}; the services' seeds are in ${environmentFile}`)
}

if (import.meta.main) main()
