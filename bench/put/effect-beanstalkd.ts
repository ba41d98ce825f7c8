/**
 * This library: fibers that share one connection.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { Connection } from "effect-beanstalkd"
import { BODY_BYTES, type Client, PRIORITY, type Session, TTR_SECONDS, TUBE } from "../support.ts"

const PUT_OPTIONS = { priority: PRIORITY, ttr: Duration.seconds(TTR_SECONDS) }

const connect = Effect.fnUntraced(function*(port: number) {
  const connection = yield* Connection.make({ host: "127.0.0.1", port })
  yield* connection.use(TUBE)
  yield* connection.watch(TUBE)
  yield* connection.ignore("default")
  return connection
})

type Connected = Effect.Success<ReturnType<typeof connect>>

const loop = <A, E>(times: number, once: () => Effect.Effect<A, E>): Effect.Effect<void, E> => {
  let left = times
  return Effect.whileLoop({ while: () => left-- > 0, body: once, step: () => {} })
}

const session = async <A, E>(
  port: number,
  fibers: number,
  once: (connection: Connected) => Effect.Effect<A, E>
): Promise<Session> => {
  const scope = Scope.makeUnsafe()
  const connection = await Effect.runPromise(Scope.provide(connect(port), scope))
  const run = (ops: number): Promise<void> =>
    Effect.runPromise(Effect.forEach(
      Array.from({ length: fibers }),
      () => loop(ops / fibers, () => once(connection)),
      { concurrency: "unbounded", discard: true }
    ))
  return { connections: 1, run, close: () => Effect.runPromise(Scope.close(scope, Exit.void)) }
}

const client: Client<"put" | "reserve-delete"> = {
  "put": (port, fibers) => session(port, fibers, (connection) => connection.put(BODY_BYTES, PUT_OPTIONS)),
  "reserve-delete": (port, fibers) =>
    session(
      port,
      fibers,
      (connection) => Effect.flatMap(connection.reserveWithTimeout(0), (job) => connection.delete(job.id))
    )
}

export default client
