/** What came of a wish: what the lifecycle was told last, what it cost at the CA. */
import { Effect } from "effect"
import { eventually } from "./eventually.ts"
import type { Asked, Notice, World } from "./World.ts"

export const noticeOf = (world: World, claimId: string, change: string) =>
  eventually(`${change} of ${claimId}`, () => world.notices.findLast((each) => each.claim_id === claimId && each.change === change))
export const issued = (world: World, asked: Asked) =>
  Effect.map(noticeOf(world, asked.claim_id, "issued"), ({ certificate }) => certificate)
const everything = { ca: null, challenge: null, since: null, until: null, serial: null, reason: "test", dry_run: false }
/** All are replaced; again while the CA takes the claim's proof over from before, as Pebble does once in a hundred orders (see there). */
export const renewedAnew = Effect.fnUntraced(function* (world: World, { claim_id }: Pick<Asked, "claim_id">) {
  while (true) {
    const seen = world.notices.length
    yield* world.replace(everything)
    const isNext = (each: Notice, at: number) => at >= seen && each.claim_id === claim_id && each.change === "renewed"
    const renewed = yield* eventually(`the next renewal of ${claim_id}`, () => world.notices.find(isNext))
    if (!renewed.certificate.why!.includes("left from before")) return renewed
  }
})
export const ordersAt = (world: World) => world.pebble.logged("Added order")
export const failuresAt = (world: World) => world.pebble.logged("set INVALID by completed challenge")
/** As if its time had come. */
export const hurry = (world: World) => world.database.query((sql) => sql`update certifier.claims set due_at = now(), retry_at = null`)
