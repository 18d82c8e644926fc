/** `./dev status`: every process with its pid, and where things can be reached. Exit code 1 when the sandbox is down. */
import { devDirectory, readJson } from "./DevDirectory.ts"
import { isAlive, readRecord } from "./ProcessRecord.ts"
import { dim, green, red, say } from "./progress.ts"
import type { SandboxState } from "./StateFile.ts"

export const status = async (): Promise<number> => {
  const directory = devDirectory()
  const record = readRecord(directory)
  if (record === undefined || !isAlive(record.supervisor)) {
    say("The sandbox is down. Start it with './dev up'.")
    return 1
  }
  const state = readJson<SandboxState>(directory.state)
  if (state === undefined) say("The sandbox is starting.")
  for (const one of record.processes) {
    const mark = isAlive(one) ? green("running") : red("starting again")
    console.log(`${one.name.replace(/^service:/, "").padEnd(14)} ${mark} ${dim(`pid ${one.pid}`)}`)
  }
  if (state !== undefined) {
    console.log(`\nAPI       ${state.api}\nedge      ${state.edge_https}   ${state.edge_http}\ninternal  ${state.internal}`)
    console.log(`DNS       ${state.dns.address}   ${state.dns.api_url}\nstate     ${directory.state}`)
  }
  return state === undefined ? 1 : 0
}
