/** Settings that name a file or a folder: wrong when it is not there, which is found before anything starts. */
import { accessSync, constants, statSync } from "node:fs"
import { checked, type Setting, setting } from "@connect-domain/domain/Setting.ts"
import { type Config, type Effect, Option } from "effect"

/** A path of a file that exists and may be read; unset or empty is right too. */
export const fileSetting = (name: string, read: Effect.Effect<Option.Option<string>, Config.ConfigError>, wanted: string): Setting =>
  setting(
    name,
    checked(name, read, (path) => (Option.isNone(path) || isReadable(path.value) ? undefined : "is no file that can be read")),
    wanted
  )

const isReadable = (path: string): boolean => {
  try {
    accessSync(path, constants.R_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}
