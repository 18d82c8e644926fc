/**
 * Where V8 puts what is new.
 *
 * Built against: its guess that what a line of code makes will live long, because what it made so far did, for which it is then put among old objects
 * at once. A client's hundred requests tell it so of the socket's table of listeners. When connections are short the guess is wrong: a dead table
 * among the old ones keeps all that its listeners close over, the whole connection, until the next full collection, and each young one
 * copies that twice: 7 % of what a handshake costs, after other traffic.
 */
import { setFlagsFromString } from "node:v8"

/** For the whole process; it holds from the next young collection on. */
export const keepNewObjectsYoung = (): void => setFlagsFromString("--no-allocation-site-pretenuring")
