/** `./dev rebuild`: asks the lifecycle to restore streams, buckets and open work from Postgres, while the edge serves on. */
import { devDirectory, Refusal } from "./DevDirectory.ts"
import { done } from "./progress.ts"
import { loadSecrets } from "./Secrets.ts"
import { readState } from "./StateFile.ts"

export const rebuild = async (): Promise<number> => {
  const directory = devDirectory()
  const natsUrl = readState(directory).nats_url.replace(/\/\/[^@/]*@/, "//")
  const seed = (await loadSecrets(directory)).natsSeeds.operator
  const began = Date.now()
  const { callAsOperator } = await import("./callAsOperator.ts")
  const { rebuild: definition } = await import("@connect-domain/messages/lifecycle.ts")
  const answer = await callAsOperator({ natsUrl, seed }, definition, {}).catch((error: unknown) => {
    throw new Refusal(`The lifecycle did not rebuild: ${(error as Error).message}. See './dev logs lifecycle'.`)
  })
  done(`rebuilt ${answer.hostnames} hostnames, woke ${answer.connections_woken} connections`, Date.now() - began)
  return 0
}
