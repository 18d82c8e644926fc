/** Runs an outside client (openssl, gnutls-cli) and returns what it said: the edge's own libraries must not be the only judge of what it speaks. */
import { spawn } from "node:child_process"

export interface Ran {
  readonly code: number | null
  /** Standard output and error, in the order of arrival. */
  readonly output: string
}

/** `input` is written at once, and standard input closed unless `holdInput`. Rejects when the program is missing. */
export const runProgram = (
  program: string,
  args: ReadonlyArray<string>,
  { input = "", holdInput = false }: { readonly input?: string; readonly holdInput?: boolean } = {}
): Promise<Ran> =>
  new Promise((resolve, reject) => {
    const child = spawn(program, [...args], { stdio: ["pipe", "pipe", "pipe"] })
    let output = ""
    const onOutput = (piece: Buffer) => {
      output += piece.toString("latin1")
    }
    child.stdout.on("data", onOutput)
    child.stderr.on("data", onOutput)
    child.stdin.on("error", () => {})
    child.once("error", (error) => reject(new Error(`${program} does not run (apt-get install ${program}): ${error.message}`)))
    child.once("close", (code) => resolve({ code, output }))
    if (holdInput) child.stdin.write(input)
    else child.stdin.end(input)
  })
