import { RequestId } from "../RequestId.ts"

/** `text`: one character at least, all of them ASCII. */
export const requestIdOf = (text: string): RequestId => new RequestId(Buffer.from(text.slice(0, -1)), text.charCodeAt(text.length - 1))
