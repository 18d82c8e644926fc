/**
 * Brings the database's schema up to date: runs `migrations/<number>_<name>.sql`, each once, in order of number. As a program,
 * `node libs/database/src/migrate.ts`, it migrates DATABASE_URL.
 *
 * Owns: the order, the lock, the record of what ran. Leaves to the files: the schema; each belongs to the service in its name.
 * Built against: two processes that start at once (an advisory lock), a failure half-way (each file in one transaction with its record),
 * and a file that was edited after it ran (a checksum).
 */
import { createHash } from "node:crypto"
import { readdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import { Data, Effect, Redacted } from "effect"
import postgres from "postgres"
import { DatabaseUrl } from "./Database.ts"
import { DatabaseError } from "./DatabaseError.ts"

/** A migration's own fault: its SQL failed, it was edited after it ran, or two share a number. Only a developer can mend it. */
export class MigrationError extends Data.TaggedError("MigrationError")<{ readonly file: string; readonly message: string }> {}

interface Migration {
  readonly number: number
  readonly file: string
  readonly text: string
  readonly checksum: string
}

export const migrationsDirectory = join(import.meta.dirname, "..", "migrations")

/** Any constant: every process that migrates this database must take the same lock. */
const lockId = 7_203_118

/** Migrates `DATABASE_URL`; gives back the files that ran. */
export const migrate = Effect.flatMap(DatabaseUrl, (url) => migrateDatabase(Redacted.value(url)))

/** Migrates the database at `url` as the address's own user, who must be allowed to create roles and schemas. */
export const migrateDatabase = (
  url: string,
  directory: string = migrationsDirectory
): Effect.Effect<ReadonlyArray<string>, DatabaseError | MigrationError> =>
  Effect.tryPromise({
    try: () => run(url, directory),
    catch: (error) => (error instanceof MigrationError ? error : DatabaseError.from(error))
  })

const run = async (url: string, directory: string): Promise<ReadonlyArray<string>> => {
  const migrations = await readMigrations(directory)
  const sql = postgres(url, {
    max: 1,
    fetch_types: false,
    connect_timeout: 5,
    onnotice: () => {},
    connection: { application_name: "connect-domain migrate" }
  })
  try {
    await sql`select pg_advisory_lock(${lockId})`
    await sql`create table if not exists public.connect_domain_migrations (
      number integer primary key, file text not null, checksum text not null, applied_at timestamptz not null default now())`
    const rows = await sql<Array<{ number: number; checksum: string }>>`select number, checksum from public.connect_domain_migrations`
    const applied = new Map(rows.map((row) => [row.number, row.checksum]))
    const ran: Array<string> = []
    for (const migration of migrations) {
      const checksum = applied.get(migration.number)
      if (checksum === undefined) {
        await apply(sql, migration)
        ran.push(migration.file)
      } else if (checksum !== migration.checksum) {
        throw new MigrationError({ file: migration.file, message: `${migration.file} was changed after it ran; write a new one instead` })
      }
    }
    return ran
  } finally {
    await sql.end({ timeout: 5 })
  }
}

const apply = (sql: postgres.Sql, migration: Migration) =>
  sql.begin(async (transaction) => {
    try {
      await transaction.unsafe(migration.text).simple()
    } catch (error) {
      const detail = error instanceof postgres.PostgresError ? ` (${error.code}, position ${error.position ?? "unknown"})` : ""
      throw new MigrationError({ file: migration.file, message: `${migration.file}: ${(error as Error).message}${detail}` })
    }
    await transaction`insert into public.connect_domain_migrations (number, file, checksum)
      values (${migration.number}, ${migration.file}, ${migration.checksum})`
  })

const readMigrations = async (directory: string): Promise<ReadonlyArray<Migration>> => {
  const files = (await readdir(directory)).filter((file) => file.endsWith(".sql")).sort()
  const migrations = await Promise.all(
    files.map(async (file): Promise<Migration> => {
      const number = Number(/^(\d{4})_[a-z0-9_]+\.sql$/.exec(file)?.[1])
      if (Number.isNaN(number)) throw new MigrationError({ file, message: `${file}: the name must be <4 digits>_<name>.sql` })
      const text = await readFile(join(directory, file), "utf8")
      return { number, file, text, checksum: createHash("sha256").update(text).digest("hex") }
    })
  )
  const twice = migrations.find((migration, index) => migrations[index - 1]?.number === migration.number)
  if (twice !== undefined) throw new MigrationError({ file: twice.file, message: `two migrations have the number ${twice.number}` })
  return migrations
}

const main = () =>
  Effect.runPromise(migrate).then(
    (files) => console.log(files.length === 0 ? "the schema is up to date" : `migrated: ${files.join(", ")}`),
    (error: unknown) => {
      console.error(error instanceof Error ? error.message : String(error))
      process.exitCode = 1
    }
  )

if (import.meta.main) await main()
