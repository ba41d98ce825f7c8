/**
 * This library: fibers that share the service for put, and one connection for reserve and delete.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { Client, Connection } from "effect-beanstalkd"
import { BODY_BYTES, type Client as Measured, PRIORITY, type Session, TTR_SECONDS, TUBE } from "../support.ts"

const PUT_OPTIONS = { priority: PRIORITY, ttr: Duration.seconds(TTR_SECONDS) }

const loop = <A, E>(times: number, once: Effect.Effect<A, E>): Effect.Effect<void, E> => {
  let left = times
  return Effect.whileLoop({ while: () => left-- > 0, body: () => once, step: () => {} })
}

/** `once` is made anew for each fiber, as a program would write it. */
const session = async <A, E1, B, E2>(
  connect: Effect.Effect<A, E1, Scope.Scope>,
  fibers: number,
  once: (connected: A) => Effect.Effect<B, E2>
): Promise<Session> => {
  const scope = Scope.makeUnsafe()
  const connected = await Effect.runPromise(Scope.provide(connect, scope))
  const run = (ops: number): Promise<void> =>
    Effect.runPromise(Effect.forEach(
      Array.from({ length: fibers }),
      () => loop(ops / fibers, once(connected)),
      { concurrency: "unbounded", discard: true }
    ))
  return { connections: 1, run, close: () => Effect.runPromise(Scope.close(scope, Exit.void)) }
}

const client: Measured<"put" | "reserve-delete"> = {
  "put": (port, fibers) =>
    session(
      Client.make({ host: "127.0.0.1", port }),
      fibers,
      (beanstalkd) => Effect.suspend(() => beanstalkd.put(TUBE, BODY_BYTES, PUT_OPTIONS))
    ),
  "reserve-delete": (port, fibers) =>
    session(
      Connection.make({ host: "127.0.0.1", port, use: TUBE, watch: TUBE }),
      fibers,
      (connection) => Effect.flatMap(connection.reserveWithTimeout(0), (job) => connection.delete(job.id))
    )
}

export default client
