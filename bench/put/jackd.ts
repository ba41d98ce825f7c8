/**
 * jackd. It takes the body as a string here: contrary to its README it sends a Buffer as JSON.
 *
 * Puts share one connection. Concurrent reserves can't: it takes all that has arrived after RESERVED as the body, with
 * the replies to other commands in it. So each loop that reserves has a connection of its own.
 */
import Jackd from "jackd"
import { BODY, type Client, loops, PRIORITY, type Session, TTR_SECONDS, TUBE } from "../support.ts"

const PUT_OPTIONS = { priority: PRIORITY, ttr: TTR_SECONDS }

const connect = async (port: number): Promise<Jackd> => {
  const client = await new Jackd().connect({ host: "127.0.0.1", port })
  await client.use(TUBE)
  await client.watch(TUBE)
  await client.ignore("default")
  return client
}

const session = async (
  port: number,
  connections: number,
  run: (clients: ReadonlyArray<Jackd>, ops: number) => Promise<unknown>
): Promise<Session> => {
  const clients = await Promise.all(Array.from({ length: connections }, () => connect(port)))
  return {
    connections,
    run: (ops) => run(clients, ops),
    close: () => Promise.all(clients.map((client) => client.disconnect()))
  }
}

const client: Client<"put" | "reserve-delete"> = {
  "put": (port, fibers) =>
    session(port, 1, ([client], ops) => loops(fibers, ops, () => client!.put(BODY, PUT_OPTIONS))),
  "reserve-delete": (port, fibers) =>
    session(port, fibers, (clients, ops) =>
      loops(fibers, ops, async (fiber) => {
        const client = clients[fiber]!
        const job = await client.reserveWithTimeout(0)
        await client.delete(job.id)
      }))
}

export default client
