/**
 * Opens connections and ends them in one of several ways, many times, and reports the handles that keep the process alive
 * after that. It does not exit: it ends when no handle is left.
 *
 * Arguments: the way, the port of a server that suits it, how many times.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Connection from "../../../src/Connection.ts"
import { JobId } from "../../../src/internal/protocol/scalars.ts"

const way = process.argv[2] ?? ""
const [port, times] = process.argv.slice(3).map(Number) as [number, number]

const start = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkDetach(effect, { startImmediately: true })
const nextTurn = Effect.callback<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})
const turns = (n: number) => Effect.repeat(nextTurn, { times: n })

/** Runs commands on a connection whose Scope closes under them, and returns their errors. */
const closeUnder = Effect.fnUntraced(function*(
  commands: (connection: Connection.Service) => ReadonlyArray<Effect.Effect<unknown, unknown>>
) {
  const scope = yield* Scope.make()
  const connection = yield* Scope.provide(Connection.make({ port }), scope)
  const fibers = yield* Effect.forEach(commands(connection), start)
  yield* turns(2)
  yield* Scope.close(scope, Exit.void)
  return yield* Effect.forEach(fibers, (fiber) => Effect.flip(Fiber.join(fiber)))
})

// More than the buffers of the two kernels take.
const sixMebibytes = new Uint8Array(6 * 1024 * 1024)

// Its Scope is never closed: the connection ends by itself.
const forEver = Effect.provideService(Scope.Scope, Scope.makeUnsafe())

const ways: Record<string, (n: number) => Effect.Effect<unknown, unknown>> = {
  inFlight: () =>
    closeUnder(({ put, reserveWithTimeout, stats }) => [put("hello"), stats, reserveWithTimeout("1 hour"), stats]),
  unsent: () => closeUnder(({ put }) => [put(sixMebibytes), put(sixMebibytes)]),
  refused: () => Effect.flip(Effect.scoped(Connection.make({ port }))),
  untrusted: () => Effect.flip(Effect.scoped(Connection.make({ port, tls: true }))),
  // At every stage: before the socket has connected, and in the handshake that is never answered.
  interrupted: Effect.fnUntraced(function*(n) {
    const dial = yield* start(Effect.scoped(Connection.make({ port, tls: true })))
    yield* turns(n % 10)
    yield* Fiber.interrupt(dial)
  }),
  // At every stage: dialing, choosing tubes, done.
  withdrawn: Effect.fnUntraced(function*(n) {
    const dial = yield* start(Effect.scoped(Effect.andThen(Connection.make({ port, use: "jobs" }), Effect.never)))
    yield* turns(n % 10)
    yield* Fiber.interrupt(dial)
  }),
  silent: () =>
    Effect.gen(function*() {
      const { delete: remove } = yield* Connection.make({ port, commandTimeout: "2 millis" })
      yield* Effect.flip(remove(JobId.make(1)))
    }).pipe(forEver),
  reserving: () =>
    Effect.gen(function*() {
      const { reserveWithTimeout } = yield* Connection.make({ port })
      const waiting = yield* start(reserveWithTimeout())
      yield* turns(2)
      yield* Fiber.interrupt(waiting)
    }).pipe(forEver)
}

for (let n = 0; n < times; n++) await Effect.runPromise(ways[way]!(n))
// A handle is closed one tick after `close` was called.
await Effect.runPromise(turns(10))
const resources = process.getActiveResourcesInfo().filter((name) => name !== "PipeWrap" && name !== "TTYWrap")
process.stdout.write(JSON.stringify(resources))
