/**
 * Slow clients in a process of their own, for `slow.ts`: keeps so many of each kind open until it is told to end, replacing those that the edge cuts off.
 * Arguments: port, hostname, clients of each kind. Says how many are open, and how many were cut off, every half second.
 */
import { SlowClients, type SlowKind } from "@connect-domain/router/testing/SlowClients.ts"

const [port, host, each] = [Number(process.argv[2]), process.argv[3]!, Number(process.argv[4])]
/** Slow head, slow body, slow reading of a large answer. */
const kinds: ReadonlyArray<SlowKind> = ["headers", "body", "read"]
/** Handshakes under way at once: the attack is slowness, not a flood of handshakes. */
const atOnce = 50
const crowds = kinds.map((kind) => ({ kind, clients: new SlowClients() }))

setInterval(() => {
  const sum = (read: (clients: SlowClients) => number) => crowds.reduce((total, { clients }) => total + read(clients), 0)
  process.send?.({ open: sum(({ open }) => open), ended: sum(({ ended }) => ended) })
}, 500)
process.on("disconnect", () => process.exit(0))
for (;;) {
  for (const { kind, clients } of crowds) {
    const missing = Math.min(atOnce, each - clients.open)
    if (missing > 0) await clients.start(kind, missing, { https: port, host, everyMillis: 2000 })
  }
  await new Promise((resolve) => setTimeout(resolve, 10))
}
