/**
 * `./dev <command>`: reads the command line and hands over to the file of that command.
 *
 * Owns: names, options, help. Leaves to each command's file: what it does (loaded only when it is called, so that help is immediate).
 */
import { parseArgs } from "node:util"
import { Refusal } from "./DevDirectory.ts"

type Values = Readonly<Record<string, string | boolean | undefined>>

interface Command {
  readonly usage: string
  readonly help: string
  readonly options: Readonly<Record<string, { readonly type: "string" | "boolean" }>>
  readonly run: (positionals: ReadonlyArray<string>, values: Values) => Promise<number>
}

const flag = { type: "boolean" } as const
const text = { type: "string" } as const

const commands: Readonly<Record<string, Command>> = {
  up: {
    usage: "up [--detach] [--split] [--no-demo]",
    help: "start everything and connect a demo hostname; --split: one process per service",
    options: { detach: flag, split: flag, "no-demo": flag },
    run: async (_, values) =>
      (await import("./up.ts")).up({ detach: values.detach === true, split: values.split === true, demo: values["no-demo"] !== true })
  },
  down: { usage: "down", help: "end everything; data stays", options: {}, run: async () => (await import("./down.ts")).down() },
  status: { usage: "status", help: "what runs, since when, where", options: {}, run: async () => (await import("./status.ts")).status() },
  logs: {
    usage: "logs [service] [--follow]",
    help: "the latest logs of all, or of one service or server; followed on a terminal or with --follow",
    options: { follow: flag },
    run: async ([name], values) => (await import("./logs.ts")).logs(name, values.follow === true || undefined)
  },
  connect: {
    usage: "connect <hostname> [--automatic] | connect --file <list> [--concurrency 32]",
    help: "play the customer for a hostname, or for a file of them",
    options: { automatic: flag, file: text, concurrency: text },
    run: async ([hostname], values) =>
      values.file !== undefined
        ? (await import("./connectFile.ts")).connectFile(String(values.file), Number(values.concurrency ?? 32))
        : (await import("./connect.ts")).connect(hostname, values.automatic === true)
  },
  tenant: {
    usage: "tenant create [--plan <plan>] [--name <name>] [--json]",
    help: "a new tenant with an application and a key",
    options: { plan: text, name: text, json: flag },
    run: async ([verb], values) => {
      if (verb !== "create") throw new Refusal("Usage: ./dev tenant create [--plan <plan>] [--name <name>] [--json]")
      const { tenantCreate } = await import("./tenantCreate.ts")
      return tenantCreate({
        plan: values.plan as string | undefined,
        name: values.name as string | undefined,
        json: values.json === true
      })
    }
  },
  config: {
    usage: "config [--write]",
    help: "every environment variable, its default and meaning; --write: into docs/generated",
    options: { write: flag },
    run: async (_, values) => (await import("./config.ts")).config(values.write === true)
  },
  rebuild: {
    usage: "rebuild",
    help: "restore NATS's streams and buckets from Postgres",
    options: {},
    run: async () => (await import("./rebuild.ts")).rebuild()
  },
  reset: {
    usage: "reset",
    help: "end everything and delete this sandbox's data",
    options: {},
    run: async () => (await import("./reset.ts")).reset()
  },
  bench: {
    usage: "bench <name> [-- options]",
    help: "measure something on the running sandbox (bench/README.md)",
    options: {},
    run: async ([name, ...options]) => (await import("./bench.ts")).bench(name, options)
  },
  test: {
    usage: "test [lint|types|architecture|unit|integration|e2e ...]",
    help: "every check and test, as continuous integration runs them",
    options: {},
    run: async (steps) => (await import("./test.ts")).test(steps)
  }
}

const help = (): string =>
  [
    "Usage: ./dev <command>",
    "",
    ...Object.values(commands).map((command) => `  ${command.usage.padEnd(44)} ${command.help}`),
    "",
    "Ports: CD_API_PORT and others ('./dev config'), or CD_PORTS=auto. Another sandbox beside this one: CD_DEV_DIR=<folder>."
  ].join("\n")

const main = async (): Promise<number> => {
  const [name, ...rest] = process.argv.slice(2)
  if (name === undefined || name === "help" || name === "--help" || name === "-h") {
    console.log(help())
    return name === undefined ? 1 : 0
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command === undefined) throw new Refusal(`There is no command '${name}'.\n\n${help()}`)
  let parsed: { values: Values; positionals: Array<string> }
  try {
    parsed = parseArgs({ args: rest, options: { ...command.options, help: flag }, allowPositionals: true }) as typeof parsed
  } catch (error) {
    throw new Refusal(`${(error as Error).message}\nUsage: ./dev ${command.usage}`)
  }
  if (parsed.values.help === true) {
    console.log(`Usage: ./dev ${command.usage}\n  ${command.help}`)
    return 0
  }
  return command.run(parsed.positionals, parsed.values)
}

try {
  process.exitCode = await main()
} catch (error) {
  if (!(error instanceof Refusal)) throw error
  console.error(`./dev: ${error.message}`)
  process.exitCode = 1
}
