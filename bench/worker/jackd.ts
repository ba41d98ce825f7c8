/**
 * jackd, in the loop of its README: one job at a time on a connection, so that concurrency takes as many of these.
 */
import Jackd from "jackd"
import { type Client, loops, TUBE } from "../support.ts"

const connect = async (port: number): Promise<Jackd> => {
  const client = await new Jackd().connect({ host: "127.0.0.1", port })
  await client.watch(TUBE)
  await client.ignore("default")
  return client
}

const client: Client<"worker"> = {
  "worker": async (port, fibers) => {
    const clients = await Promise.all(Array.from({ length: fibers }, () => connect(port)))
    return {
      connections: fibers,
      run: (ops) =>
        loops(fibers, ops, async (fiber) => {
          const client = clients[fiber]!
          const { id } = await client.reserve()
          await client.delete(id)
        }),
      close: () => Promise.all(clients.map((client) => client.disconnect()))
    }
  }
}

export default client
