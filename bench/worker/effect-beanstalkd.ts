/**
 * This library: a worker whose handler does nothing, and a stream whose jobs are deleted.
 *
 * The stream is written as one would write it: `mapEffect` with as many jobs at a time as there are fibers, in whatever
 * order they end. One job at a time would wait for the reply to each delete, and measure nothing else.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Client, Consumer, Tube, Worker } from "effect-beanstalkd"
import { type Client as Measured, type Open, type Session, TUBE } from "../support.ts"
import { Counter } from "./jobs.ts"

const Jobs = Tube.make(TUBE, { codec: "bytes" })

/** Its runs say when they were done. */
interface Working extends Session {
  readonly run: (ops: number) => Promise<number>
}

/** Lets `work` go on until the session is closed. */
const session = async (
  port: number,
  work: (counter: Counter) => Effect.Effect<unknown, unknown, Client.Beanstalkd>
): Promise<Working> => {
  const scope = Scope.makeUnsafe()
  const beanstalkd = await Effect.runPromise(Scope.provide(Client.make({ host: "127.0.0.1", port }), scope))
  const counter = new Counter()
  const start = Effect.provideService(work(counter), Client.Beanstalkd, beanstalkd)
  let working: Fiber.Fiber<unknown, unknown> | undefined
  let ended: Promise<never> | undefined
  const run = (ops: number): Promise<number> => {
    working ??= Effect.runFork(start)
    ended ??= Effect.runPromise(Effect.andThen(Fiber.join(working), Effect.die("it has ended")))
    return Promise.race([counter.next(ops), ended])
  }
  const close = async (): Promise<void> => {
    if (working !== undefined) await Effect.runPromise(Fiber.interrupt(working))
    await Effect.runPromise(Scope.close(scope, Exit.void))
  }
  return { connections: 1, run, close }
}

/** A worker whose handler takes no time, or only time. */
export const worker =
  ({ crashGuard, handlerMillis }: { crashGuard: boolean; handlerMillis?: number }) =>
  (port: number, fibers: number): Promise<Working> =>
    session(port, (counter) => {
      const work = handlerMillis === undefined ? Effect.void : Effect.sleep(handlerMillis)
      const handler = () => {
        counter.count()
        return work
      }
      return Worker.run(Jobs, handler, { concurrency: fibers, crashGuard })
    })

const stream = (prefetch: number): Open => (port, fibers) =>
  session(port, (counter) =>
    Consumer.stream(TUBE, { prefetch }).pipe(
      Stream.mapEffect((job) => Effect.map(job.delete, counter.count), { concurrency: fibers, unordered: true }),
      Stream.runDrain
    ))

const client: Measured<string> = {
  "worker": worker({ crashGuard: false }),
  "worker-guarded": worker({ crashGuard: true }),
  "stream-1": stream(1),
  "stream-16": stream(16),
  "stream-64": stream(64)
}

export default client
