/**
 * How V8 collects what is young, in a process that serves many short requests.
 *
 * Built against two of its habits. It puts what a line of code makes among old objects at once, if what that line made so far lived long: a client's
 * hundred requests tell it so of the socket's table of listeners. With short connections the guess is wrong, and a dead table among old objects keeps
 * all that its listeners close over, the whole connection, until the next full collection; each young one copies that twice (7 % of a handshake, after
 * other traffic). And it shares a young collection out among threads. Here that is a few megabytes, less than what sharing costs (2 to 4 % of a
 * request), and the threads take their time from the edge's other processes, of which there is one for each core.
 */
import { setFlagsFromString } from "node:v8"

/** For the whole process, from the next young collection on. */
export const tuneYoungCollections = (): void => {
  setFlagsFromString("--no-allocation-site-pretenuring")
  setFlagsFromString("--no-parallel-scavenge")
}
