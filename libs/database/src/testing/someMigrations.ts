/**
 * A few of the migrations, for a service whose tests see nothing of the others' tables.
 *
 * Owns: a folder with copies of them, removed with its scope. Leaves to the caller: which, and running them (`migrateDatabase`).
 */
import { copyFileSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, type Scope } from "effect"
import { migrationsDirectory } from "../migrate.ts"

/** The folder's path. `prefixes`: beginnings of file names, such as `0001` or `003`; one that fits no file is a defect. */
export const someMigrations = (prefixes: ReadonlyArray<string>): Effect.Effect<string, never, Scope.Scope> => {
  const all = readdirSync(migrationsDirectory)
  const lost = prefixes.find((prefix) => !all.some((file) => file.startsWith(prefix)))
  if (lost !== undefined) return Effect.die(new Error(`no migration begins with ${lost}`))
  return Effect.acquireRelease(
    Effect.sync(() => {
      const folder = mkdtempSync(join(tmpdir(), "connect-domain-migrations-"))
      for (const file of all.filter((name) => prefixes.some((prefix) => name.startsWith(prefix))))
        copyFileSync(join(migrationsDirectory, file), join(folder, file))
      return folder
    }),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  )
}
