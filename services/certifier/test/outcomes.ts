/** What came of a wish: what the lifecycle was told last, what it cost at the CA. */
import { Effect } from "effect"
import { eventually } from "./eventually.ts"
import type { Asked, World } from "./World.ts"

export const noticeOf = (world: World, claimId: string, change: string, seconds = 20) =>
  eventually(
    `${change} of ${claimId}`,
    () => world.notices.findLast((each) => each.claim_id === claimId && each.change === change),
    seconds
  )
export const issued = (world: World, asked: Asked, seconds?: number) =>
  Effect.map(noticeOf(world, asked.claim_id, "issued", seconds), ({ certificate }) => certificate)
export const ordersAt = (world: World) => world.pebble.logged("Added order")
export const failuresAt = (world: World) => world.pebble.logged("set INVALID by completed challenge")
/** As if its time had come. */
export const hurry = (world: World) => world.database.query((sql) => sql`update certifier.claims set due_at = now(), retry_at = null`)
