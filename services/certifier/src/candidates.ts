/**
 * Which CAs are asked for a certificate, and in which order: pure.
 *
 * Owns: sharing new names out, staying with the CA that issued while there is time, changing it when there is none. Leaves to `Preflight.ts` which CAs may issue at
 * all, to `Ordering.ts` asking.
 */
import type { Certificate } from "./Certificates.ts"
import type { Claim } from "./Claim.ts"
import { issuerVanished } from "./Replacements.ts"

/** With less of the life left than this, any CA will do. */
export const urgentShare = 1 / 4

export const lifeLeft = (served: Pick<Certificate, "not_before" | "not_after">, now: number): number =>
  (served.not_after.getTime() - now) / (served.not_after.getTime() - served.not_before.getTime())

/** `all` with the one first that `draw` in [0, 1) falls on, each as often as its weight says. */
export const sharedOut = <Authority>(
  all: ReadonlyArray<Authority>,
  weights: ReadonlyArray<number>,
  draw: number
): ReadonlyArray<Authority> => {
  let left = draw * weights.reduce((sum, weight) => sum + weight, 0)
  const first = all.find((_, at) => {
    left -= weights[at] ?? 0
    return left < 0
  })
  return first === undefined ? all : [first, ...all.filter((each) => each !== first)]
}

/** Which CAs are asked, in this order; never none. */
export const candidatesFor = <Authority extends { readonly directory: string }>(
  claim: Pick<Claim, "order_directory" | "replace_reason">,
  current: Pick<Certificate, "directory" | "not_before" | "not_after"> | undefined,
  all: ReadonlyArray<Authority>,
  at: {
    readonly now: number
    readonly paused: ReadonlyMap<string, Date>
    /** Directories of CAs that refused this name whatever its proof: they are asked last. */
    readonly refusing?: ReadonlySet<string>
  }
): ReadonlyArray<Authority> => {
  const issuer = claim.replace_reason !== issuerVanished ? all.find(({ directory }) => directory === current?.directory) : undefined
  if (issuer !== undefined && current !== undefined) {
    const left = lifeLeft(current, at.now)
    const others = all.filter((each) => each !== issuer && !at.paused.has(each.directory))
    return left > urgentShare ? [issuer] : [issuer, ...others]
  }
  const refuses = ({ directory }: Authority) => at.refusing?.has(directory) === true
  const unpaused = all.filter(({ directory }) => !at.paused.has(directory))
  const open = [...unpaused.filter((each) => !refuses(each)), ...unpaused.filter(refuses)]
  const underWay = open.find(({ directory }) => directory === claim.order_directory)
  const ordered = underWay === undefined ? open : [underWay, ...open.filter((each) => each !== underWay)]
  return ordered.length === 0 ? all.slice(0, 1) : ordered
}
