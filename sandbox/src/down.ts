/** `./dev down`: ends the sandbox's processes, by recorded pids only. */
import { devDirectory } from "./DevDirectory.ts"
import { endSandbox } from "./ProcessRecord.ts"
import { done, say } from "./progress.ts"

export const down = async (): Promise<number> => {
  const began = Date.now()
  if (await endSandbox(devDirectory())) done("everything ended, data kept", Date.now() - began)
  else say("Nothing was running.")
  return 0
}
