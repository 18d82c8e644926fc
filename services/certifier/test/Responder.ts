/** Plays the routers for the CA: answers HTTP-01 questions (RFC 8555 §8.3) from a map. */
import { createServer, type Server } from "node:http"

const path = "/.well-known/acme-challenge/"

export class Responder {
  readonly answers = new Map<string, string>()
  answering: () => boolean = () => true
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
  }

  static async start(port: number): Promise<Responder> {
    const server = createServer()
    const responder = new Responder(server)
    server.on("request", (request, response) => {
      const answer =
        responder.answering() && request.url?.startsWith(path) ? responder.answers.get(request.url.slice(path.length)) : undefined
      response.writeHead(answer === undefined ? 404 : 200, { connection: "close" }).end(answer)
    })
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve))
    return responder
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
