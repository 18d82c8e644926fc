/** Looks again until the check's expectations hold. Generous, since a wait ends as soon as they do: only a red run is long. */
import { vi } from "vitest"

export const eventually = <A>(check: () => A | Promise<A>): Promise<A> => vi.waitFor(check, { timeout: 60_000, interval: 100 })
