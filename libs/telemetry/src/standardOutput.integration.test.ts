/** A service whose output nobody reads any more. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import { describe, expect, it } from "vitest"

/** Writes to both outputs all the time; answers any message with its metrics. */
const program = (file: (name: string) => string) => `
import { Effect, Layer } from "effect"
import { runService } from ${file("checkSettings.ts")}
import { metricsText, Telemetry } from ${file("Telemetry.ts")}
const write = Effect.andThen(Effect.logInfo("here"), Effect.sync(() => process.stderr.write("there\\n")))
const writing = Effect.forkScoped(Effect.forever(Effect.andThen(write, Effect.sleep("5 millis"))))
process.on("message", () => Effect.runPromise(metricsText).then((text) => process.send(text)))
runService([], Layer.effectDiscard(writing).pipe(Layer.provide(Telemetry.layer("test"))))
`

describe("standard output", () => {
  it("may lose its reader: the service goes on, counts what it could not write, and ends as it is told to", async () => {
    const text = program((name) => JSON.stringify(join(import.meta.dirname, name)))
    const child = spawn(process.execPath, ["--input-type=module", "-e", text], {
      cwd: import.meta.dirname,
      stdio: ["ignore", "pipe", "pipe", "ipc"]
    })
    const exited = once(child, "exit")
    await Promise.all([once(child.stdout!, "data"), once(child.stderr!, "data")])
    child.stdout!.destroy()
    child.stderr!.destroy()
    for (let failed = 0; failed < 20; ) {
      const answer = once(child, "message")
      child.send("metrics")
      const [metrics] = (await Promise.race([answer, exited])) as [unknown]
      expect(metrics).toBeTypeOf("string")
      failed = Number(/^connect_domain_log_writes_failed_total ([0-9]+)/m.exec(String(metrics))?.[1] ?? 0)
    }
    child.kill("SIGTERM")
    expect(await exited).toEqual([0, null])
  })
})
