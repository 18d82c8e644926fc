/** `./dev config`: the table of every environment variable; `--write` puts it into the documentation. */
import { mkdirSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { collectSettings, configurationPage } from "./collectSettings.ts"
import { repositoryRoot } from "./DevDirectory.ts"

export const configurationFile = join(repositoryRoot, "docs/generated/configuration.md")

export const config = async (write: boolean): Promise<number> => {
  const settings = collectSettings(repositoryRoot)
  if (write) {
    mkdirSync(dirname(configurationFile), { recursive: true })
    writeFileSync(configurationFile, configurationPage(settings))
    console.log(`${settings.length} settings written to ${configurationFile}`)
    return 0
  }
  const width = Math.max(...settings.map((one) => one.name.length))
  for (const one of settings) {
    console.log(`${one.name.padEnd(width)}  ${one.default ?? "(none)"}\n${" ".repeat(width + 2)}${one.meaning}  [${one.places.join(", ")}]`)
  }
  return 0
}
