/** `./dev reset`: ends the sandbox and deletes what it keeps, so that the next start is a first one. Downloaded programs stay. */
import { rmSync } from "node:fs"
import { devDirectory } from "./DevDirectory.ts"
import { endSandbox } from "./ProcessRecord.ts"
import { postgresFolder } from "./postgresServer.ts"
import { say } from "./progress.ts"

export const reset = async (): Promise<number> => {
  const directory = devDirectory()
  await endSandbox(directory)
  const { root, ...paths } = directory
  const rest = ["nats.conf", "webhook-sink-secrets.json"].map((name) => `${root}/${name}`)
  try {
    rmSync(postgresFolder(directory), { recursive: true, force: true })
  } catch {
    // The folder of the sandbox itself is not there.
  }
  for (const path of [...Object.values(paths), ...rest]) rmSync(path, { recursive: true, force: true })
  say(`Deleted the sandbox's data in ${root}. './dev up' starts afresh.`)
  return 0
}
