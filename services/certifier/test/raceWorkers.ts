/**
 * Requirement A1 as it is written: certifier processes race for names, one of them is stopped past its leases and woken after the others finished.
 *
 * Owns: the course, and what is counted. Leaves to the test and to `bench/race.ts` how many. It is stopped at an instant when every order that was
 * placed is in its row: nobody can know of an order whose answer a stopped process had not read yet. Nothing that was asked is left unread then: who asks for
 * what is issued already gets an answer, under a lease of its own.
 */
import { Effect } from "effect"
import { eventuallyEffect } from "./eventually.ts"
import { ordersAt } from "./outcomes.ts"
import { ask, type World } from "./World.ts"

/** Every claim has its place from the beginning: nobody begins another order while one is stopped. */
export const raceEnv = (processes: number, names: number) => ({
  CD_CERTIFIER_CONCURRENCY: String(Math.ceil(names / processes)),
  CD_LOG_LEVEL: "error"
})

export const raceWorkers = Effect.fnUntraced(function* (world: World, processes: number, names: number, seconds: number) {
  const workers = Array.from({ length: processes }, () => world.spawnCertifier())
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      for (const worker of workers) worker.kill("SIGKILL")
    })
  )
  const claims = Array.from({ length: names }, (_, i) => ask(`race-${i}.example.com`))
  yield* Effect.forEach([...claims, ...claims, ...claims], world.ensure, { concurrency: 32 })
  const placed = world.database.query<{ leased: number; placed: number }>(
    (sql) => sql`
      select count(*) filter (where leased and due_at > now())::int as leased, count(order_url)::int as placed from certifier.claims`
  )
  yield* eventuallyEffect(
    "every order placed and kept, all under way",
    Effect.zipWith(placed, world.backlog, ([row], unread) => row!.leased > 0 && row!.placed === row!.leased && unread === 0),
    seconds
  )
  const stopped = workers[0]!
  stopped.kill("SIGSTOP")
  const fences = world.database.query<{ claim_id: string; fence: number }>(
    (sql) => sql`select claim_id, fence from certifier.claims where leased order by claim_id`
  )
  const held = new Map((yield* fences).map(({ claim_id, fence }) => [claim_id, fence]))
  const issued = () => world.notices.filter(({ change }) => change === "issued")
  yield* eventuallyEffect(
    "everything issued by the others",
    Effect.sync(() => new Set(issued().map(({ claim_id }) => claim_id)).size === names),
    seconds
  )
  const current = world.database.query<{ claim_id: string; serial: string; fence: number; own: boolean }>(
    (sql) => sql`
      select c.claim_id, t.serial, c.fence, t.fence = c.fence as own from certifier.certificates t join certifier.claims c using (claim_id)
      where t.state <> 'destroyed' order by claim_id`
  )
  const before = yield* current
  stopped.kill("SIGCONT")
  yield* Effect.sleep("3 seconds")
  const after = yield* current
  return {
    orders: ordersAt(world),
    certificates: before.length,
    /** Issued by who took them over from the stopped process. */
    takenOver: before.filter(({ claim_id, fence }) => held.has(claim_id) && held.get(claim_id) !== fence).length,
    /** Stored by somebody else than who held the claim last, or changed by the process that was woken. */
    foreign: before.filter(({ own }) => !own).length + (JSON.stringify(after) === JSON.stringify(before) ? 0 : 1),
    notices: issued().length
  }
})
