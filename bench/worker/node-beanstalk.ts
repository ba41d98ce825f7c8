/**
 * node-beanstalk, in the loop of its README: one job at a time on a connection, so that concurrency takes as many of
 * these. Bodies are bytes as they are, without its default of JSON.
 */
import { Client as NodeBeanstalk } from "node-beanstalk"
import { type Client, loops, TUBE } from "../support.ts"

const asItIs = { serialize: (body: unknown) => body as Buffer, deserialize: (body: Buffer) => body }

const connect = async (port: number): Promise<NodeBeanstalk> => {
  const client = new NodeBeanstalk({ host: "127.0.0.1", port, serializer: asItIs })
  await client.connect()
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
          const job = await client.reserveWithTimeout(10)
          if (job === null) throw new Error("no job left to reserve")
          await client.delete(job.id)
        }),
      close: () => Promise.all(clients.map((client) => client.disconnect()))
    }
  }
}

export default client
