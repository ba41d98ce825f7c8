/**
 * A plain Node service that puts jobs and works on them: `node:http` and promises on the outside, one `ManagedRuntime` for all
 * that is Effect. It starts when the queue can be reached, and on SIGTERM it ends in order: no more requests, those that run
 * are answered, then the handlers of the worker end, then the connections. To have something to see, it calls itself.
 */
import { Effect, Layer, ManagedRuntime } from "effect"
import { type Client, Worker } from "effect-beanstalkd"
import { once } from "node:events"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { acceptOrder, type Answer, ClientOfHost, Orders } from "./support/acceptOrder.ts"

const MAX_BODY = 1_000_000

const tooLarge: Answer = { status: 413, body: { error: `a body may have ${MAX_BODY} bytes` } }

const readBody = async (request: IncomingMessage): Promise<string | undefined> => {
  const chunks: Array<Buffer> = []
  let size = 0
  // To the end also if it is too large, and without keeping it: a client that still sends would not hear the answer.
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size <= MAX_BODY) chunks.push(chunk)
  }
  return size <= MAX_BODY ? Buffer.concat(chunks).toString("utf8") : undefined
}

export interface Service {
  readonly port: number
  /** Ends it in order. */
  readonly stop: () => Promise<void>
}

/** Starts the service on a free port, once its client has a connection. */
export const start = async <E>(client: Layer.Layer<Client.Beanstalkd, E>): Promise<Service> => {
  const worker = Worker.layer(Orders, ({ id, item }) => Effect.log(`order ${id}: ${item}`), { concurrency: 4 })
  const runtime = ManagedRuntime.make(Layer.provideMerge(worker, client))
  // A runtime is built when it is first used. Here, so that a service that cannot work does not start.
  await runtime.context()

  const answer = async (request: IncomingMessage): Promise<Answer> => {
    if (request.method !== "POST" || request.url !== "/orders") return { status: 404, body: { error: "not found" } }
    const body = await readBody(request)
    return body === undefined ? tooLarge : acceptOrder(runtime, body, AbortSignal.timeout(5000))
  }

  const respond = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { body, headers, status } = await answer(request)
    // A connection that is kept alive would keep a service that stops.
    if (!server.listening) response.setHeader("connection", "close")
    response.writeHead(status, { ...headers, "content-type": "application/json" }).end(JSON.stringify(body))
  }

  const server: Server = createServer((request, response) => {
    // Only a request that breaks off makes it fail; then nobody reads an answer.
    respond(request, response).catch(() => response.destroy())
  })
  await once(server.listen(0, "127.0.0.1"), "listening")

  const stop = async (): Promise<void> => {
    server.close()
    // A request that never ends must not keep the process.
    await once(server, "close", { signal: AbortSignal.timeout(10_000) }).catch(() => server.closeAllConnections())
    await runtime.dispose()
  }
  return { port: (server.address() as AddressInfo).port, stop }
}

if (import.meta.main) {
  const print = (line: string): boolean => process.stdout.write(`${line}\n`)
  const { port, stop } = await start(ClientOfHost)
  // Awaited by nobody: the process ends when nothing is left to do.
  process.once("SIGTERM", () => void stop().then(() => print("ended in order")))

  for (const order of [{ id: "1", item: "tent" }, { id: "2" }, { id: "3", item: "x".repeat(70_000) }]) {
    const response = await fetch(`http://127.0.0.1:${port}/orders`, { method: "POST", body: JSON.stringify(order) })
    print(`${response.status} ${(await response.text()).slice(0, 70)}`)
  }
  process.kill(process.pid, "SIGTERM")
}
