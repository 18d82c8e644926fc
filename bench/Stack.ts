/** The running sandbox as a benchmark sees it: the API, the customer's DNS, the database, NATS as the operator, processes' memory. */
import { execFileSync } from "node:child_process"
import { messaging } from "@connect-domain/nats/messaging.ts"
import { CustomerDns, type WantedRecord, zoneFor } from "@connect-domain/sandbox/CustomerDns.ts"
import { devDirectory, Refusal, readJson } from "@connect-domain/sandbox/DevDirectory.ts"
import { type Connection, neededRecords, SandboxApi } from "@connect-domain/sandbox/SandboxApi.ts"
import type { Secrets } from "@connect-domain/sandbox/Secrets.ts"
import { readState, type SandboxState } from "@connect-domain/sandbox/StateFile.ts"
import { ConfigProvider, type Effect, Layer, ManagedRuntime } from "effect"
import postgres from "postgres"

export class Stack {
  readonly state: SandboxState = readState(devDirectory())
  readonly api = new SandboxApi(this.state.api, this.state.api_key)
  readonly dns = new CustomerDns(this.state.dns)
  /** Different at each run, so that no run meets another's hostnames. */
  readonly run = Date.now().toString(36)
  readonly sql = postgres(this.state.database_url, { max: 2, onnotice: () => {} })

  create(hostname: string, more: Readonly<Record<string, unknown>> = {}): Promise<Connection> {
    return this.api.create({ application_id: this.state.application_id, hostname, setup_type: "manual", ...more })
  }

  /** What a customer enters for it: the TXT record and the web records. */
  recordsOf(connection: Connection): ReadonlyArray<WantedRecord> {
    const { name, type, value } = connection.ownership_challenge
    return [{ host: name, type, value }, ...neededRecords(connection)]
  }

  addRecords(connection: Connection): Promise<void> {
    return this.dns.put(zoneFor(connection.hostname), this.recordsOf(connection))
  }

  /** NATS with every right, for watching what the services say. */
  asOperator() {
    const seed = readJson<Secrets>(devDirectory().secrets)?.natsSeeds.operator
    if (seed === undefined) throw new Refusal("The sandbox's secrets can't be read.")
    const environment = ConfigProvider.fromEnvRecord({ NATS_URL: this.state.nats_url, CD_OPERATOR_NATS_SEED: seed })
    return ManagedRuntime.make(messaging("operator").pipe(Layer.provide(ConfigProvider.layer(environment))))
  }

  /** Archives what a run created, so that nothing of it is looked at while the next one runs. */
  async archive(ids: ReadonlyArray<string>): Promise<void> {
    await inParallel(ids, 16, (id) => this.api.call("DELETE", `/v1/connections/${id}`))
  }

  async close(): Promise<void> {
    await this.sql.end()
  }

  /** Resident memory in MB of each distinct process, by the names that share it. Services first. */
  memory(): ReadonlyMap<string, number> {
    const { pids } = readState(devDirectory())
    const byPid = Map.groupBy(Object.entries(pids), ([, pid]) => pid)
    return new Map([...byPid].map(([pid, names]) => [names.map(([name]) => name).join(" "), residentMegabytes(pid)]))
  }
}

const residentMegabytes = (pid: number): number => {
  try {
    return Math.round(Number(execFileSync("ps", ["-o", "rss=", "-p", String(pid)], { encoding: "utf8" }).trim()) / 102.4) / 10
  } catch {
    return 0
  }
}

export const inParallel = async <A>(
  items: ReadonlyArray<A>,
  concurrency: number,
  work: (item: A, index: number) => Promise<unknown>
): Promise<void> => {
  let next = 0
  const worker = async () => {
    while (next < items.length) {
      const index = next++
      await work(items[index]!, index)
    }
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, worker))
}

/** Runs a benchmark and ends with its verdict: 0 when every target was met. A refusal is told without a stack. */
export const runBenchmark = async (benchmark: (stack: Stack) => Promise<boolean>): Promise<void> => {
  let stack: Stack | undefined
  try {
    stack = new Stack()
    process.exitCode = (await benchmark(stack)) ? 0 : 1
  } catch (error) {
    process.stderr.write(`${error instanceof Refusal ? error.message : String((error as Error).stack ?? error)}\n`)
    process.exitCode = 2
  } finally {
    await stack?.close()
  }
}

export const runtimeOf = <R, E>(runtime: ManagedRuntime.ManagedRuntime<R, E>) => ({
  run: <A, F>(effect: Effect.Effect<A, F, R>): Promise<A> => runtime.runPromise(effect),
  close: () => runtime.dispose()
})
