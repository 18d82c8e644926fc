/**
 * Production or sandbox: the one switch that opens what would be dangerous on the internet.
 *
 * Owns: the setting and its default. Built against: a test convenience (names under `.test`, default secrets, loopback receivers) that
 * is switched on by an omission.
 */
import { Config } from "effect"
import { setting } from "./Setting.ts"

/** `CD_MODE`: `production` (default) or `sandbox`; the sandbox alone allows `.test`, default secrets and http at loopback. */
export const Mode = Config.Literals(["production", "sandbox"], "CD_MODE").pipe(Config.withDefault("production" as const))
export type Mode = "production" | "sandbox"

export const modeSettings = [setting("CD_MODE", Mode, "production or sandbox")]
