/**
 * Runs the database's migrations in a process of its own, so that the supervisor stays small.
 *
 * Called as a function it starts that process; run as a script it is that process.
 */
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { Refusal } from "./DevDirectory.ts"

const self = fileURLToPath(import.meta.url)

export const migrateDatabase = (url: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [self], { env: { ...process.env, DATABASE_URL: url }, stdio: ["ignore", "ignore", "pipe"] })
    let said = ""
    child.stderr.on("data", (part: Buffer) => {
      said += part.toString()
    })
    child.once("error", reject)
    child.once("exit", (code) =>
      code === 0
        ? resolve()
        : reject(
            new Refusal(
              `The database's schema could not be brought up to date:\n${said.trim()}${/was changed after/.test(said) ? "\n(During development: './dev reset' starts afresh.)" : ""}`
            )
          )
    )
  })

if (process.argv[1] === self) {
  const [{ Effect }, { migrate }] = await Promise.all([import("effect"), import("@connect-domain/database/migrate.ts")])
  await Effect.runPromise(migrate).catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : String(error))
    process.exit(1)
  })
}
