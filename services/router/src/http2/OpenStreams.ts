/** The open streams of one connection: a roster in which one is found by its id. */
import { Roster } from "../Roster.ts"
import type { OwnStream } from "./OwnStream.ts"

export class OpenStreams extends Roster<OwnStream> {
  /** Needed for what follows a request's head only, and there are never many. */
  find(id: number): OwnStream | undefined {
    return this.members.find((stream) => stream.id === id)
  }
}
