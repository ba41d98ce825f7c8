/**
 * node-beanstalk. It sends a command only after the reply to the one before, however many are called at once: the
 * concurrent loops queue up inside of it. Bodies are bytes as they are, without its default of JSON.
 */
import { Client as NodeBeanstalk } from "node-beanstalk"
import { BODY_BYTES, type Client, loops, PRIORITY, type Session, TTR_SECONDS, TUBE } from "../support.ts"

const asItIs = { serialize: (body: unknown) => body as Buffer, deserialize: (body: Buffer) => body }

const session = async (
  port: number,
  fibers: number,
  once: (client: NodeBeanstalk) => Promise<unknown>
): Promise<Session> => {
  const client = new NodeBeanstalk({ host: "127.0.0.1", port, serializer: asItIs })
  await client.connect()
  await client.use(TUBE)
  await client.watch(TUBE)
  await client.ignore("default")
  return { connections: 1, run: (ops) => loops(fibers, ops, () => once(client)), close: () => client.disconnect() }
}

const client: Client<"put" | "reserve-delete"> = {
  "put": (port, fibers) => session(port, fibers, (client) => client.put(BODY_BYTES, TTR_SECONDS, PRIORITY)),
  "reserve-delete": (port, fibers) =>
    session(port, fibers, async (client) => {
      const job = await client.reserveWithTimeout(0)
      if (job === null) throw new Error("no job left to reserve")
      await client.delete(job.id)
    })
}

export default client
