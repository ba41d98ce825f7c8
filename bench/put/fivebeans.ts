/**
 * fivebeans, with callbacks as its API has them. It writes every command at once, so that one connection is enough.
 */
import fivebeans from "fivebeans"
import { BODY_BYTES, type Client, PRIORITY, type Session, TTR_SECONDS, TUBE } from "../support.ts"

type Fivebeans = InstanceType<typeof fivebeans.client>

const connect = async (port: number): Promise<Fivebeans> => {
  const client = new fivebeans.client("127.0.0.1", port)
  await new Promise<void>((resolve, reject) => {
    client.once("connect", resolve)
    client.once("error", reject)
    client.connect()
  })
  const all = [
    (done: (error: unknown) => void) => client.use(TUBE, done),
    (done: (error: unknown) => void) => client.watch(TUBE, done),
    (done: (error: unknown) => void) => client.ignore("default", done)
  ]
  for (const one of all) {
    await new Promise<void>((resolve, reject) => one((error) => error ? reject(error) : resolve()))
  }
  return client
}

type Once = (client: Fivebeans, done: (error: unknown) => void) => void

const session = async (port: number, fibers: number, once: Once): Promise<Session> => {
  const client = await connect(port)
  const loop = (times: number): Promise<void> =>
    new Promise((resolve, reject) => {
      let left = times
      const next = (error: unknown): void => {
        if (error) reject(error)
        else if (left-- > 0) once(client, next)
        else resolve()
      }
      next(null)
    })
  const run = (ops: number): Promise<unknown> => Promise.all(Array.from({ length: fibers }, () => loop(ops / fibers)))
  return { connections: 1, run, close: () => client.end() }
}

const putOne: Once = (client, done) => client.put(PRIORITY, 0, TTR_SECONDS, BODY_BYTES, done)

const reserveAndDelete: Once = (client, done) =>
  client.reserve_with_timeout(0, (error, id) => error ? done(error) : client.destroy(id, done))

const client: Client<"put" | "reserve-delete"> = {
  "put": (port, fibers) => session(port, fibers, putOne),
  "reserve-delete": (port, fibers) => session(port, fibers, reserveAndDelete)
}

export default client
