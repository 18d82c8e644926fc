/** All raw HTTP/1 cases. */
import { fieldLines } from "./fieldLines.ts"
import { framing } from "./framing.ts"
import { pipelines } from "./pipelines.ts"
import type { RawCase } from "./RawCase.ts"
import { requestLines } from "./requestLines.ts"

export const corpus: ReadonlyArray<RawCase> = [...requestLines, ...fieldLines, ...framing, ...pipelines]
