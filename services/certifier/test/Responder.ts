/** Plays the routers for the CA: answers HTTP-01 questions (RFC 8555 §8.3) from a map. */
import { createServer, get, type Server } from "node:http"

const path = "/.well-known/acme-challenge/"

export class Responder {
  readonly answers = new Map<string, string>()
  answering: () => boolean = () => true
  /** Ports on this machine that are asked for tokens that are not in the map: clients that answer by a server of their own. */
  elsewhere: () => ReadonlyArray<number> = () => []
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
  }

  static async start(port: number): Promise<Responder> {
    const server = createServer()
    const responder = new Responder(server)
    server.on("request", async (request, response) => {
      const token = responder.answering() && request.url?.startsWith(path) ? request.url.slice(path.length) : undefined
      const answer = token === undefined ? undefined : (responder.answers.get(token) ?? (await responder.#ask(token, request.headers.host)))
      response.writeHead(answer === undefined ? 404 : 200, { connection: "close" }).end(answer)
    })
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve))
    return responder
  }

  async #ask(token: string, host = ""): Promise<string | undefined> {
    const one = (port: number) =>
      new Promise<string | undefined>((resolve) => {
        get({ host: "127.0.0.1", port, path: `${path}${token}`, headers: { host } }, (reply) => {
          let text = ""
          reply.on("data", (chunk: Buffer) => (text += chunk.toString()))
          reply.on("end", () => resolve(reply.statusCode === 200 && text.startsWith(token) ? text : undefined))
        }).on("error", () => resolve(undefined))
      })
    return (await Promise.all(this.elsewhere().map(one))).find((text) => text !== undefined)
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
