/**
 * Set-ups of a test: a server that no other test has, and a client of it.
 */
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Client from "../../src/Client.ts"
import * as Fleet from "../../src/Fleet.ts"
import * as Server from "../../src/Server.ts"

/** A test that gets its server and its client as arguments and as services. */
export type Test<A, E> = (
  beanstalkd: Client.Service,
  server: Server.Service
) => Effect.Effect<A, E, Client.Beanstalkd | Server.Server | Scope.Scope>

/** Logs nothing, unless a test that reads the log, or shows it, has loggers of its own. */
export const quietly = Effect.updateService(
  Logger.CurrentLoggers,
  (loggers) => loggers.has(Logger.defaultLogger) ? new Set<never>() : loggers
)

const withOwnMetrics = Effect.provideServiceEffect(Metric.MetricRegistry, Effect.sync(() => new Map()))

/** How many servers the client has, of which a test gets the first one. `npm run test:fleet` runs the suites on three. */
const SERVERS = Number(process.env["SERVERS"] ?? 1)

const clientOf = Effect.fnUntraced(function*(server: Server.Service, options: Client.Options | undefined) {
  if (SERVERS === 1) return yield* Client.make({ ...options, ...server.clientOptions })
  const others = yield* Effect.forEach(Array.from({ length: SERVERS - 1 }), () => Server.makeMemory())
  const servers = [server, ...others].map(({ clientOptions }) => clientOptions)
  return yield* Fleet.make({ ...options, servers }).pipe(Random.withSeed("the same places each time"))
})

/**
 * Runs a test on a server in memory. The client has opened no more than its shared connection. The test has a registry
 * of metrics of its own, and nothing is logged unless the test has loggers of its own.
 */
export const onMemory = <A, E>(
  test: Test<A, E>,
  options: { readonly client?: Client.Options | undefined } = {}
) =>
  Effect.gen(function*() {
    const server = yield* Server.makeMemory()
    const beanstalkd = yield* clientOf(server, options.client)
    return yield* test(beanstalkd, server).pipe(
      Effect.provideService(Client.Beanstalkd, beanstalkd),
      Effect.provideService(Server.Server, server)
    )
  }).pipe(Effect.scoped, withOwnMetrics, quietly)

/** Like `onMemory`, on the layer that users have: the client has opened the connections of its pool as well. */
export const onLayer = <A, E>(test: Test<A, E>, options: Server.LayerMemoryOptions = {}) =>
  Effect.gen(function*() {
    return yield* test(yield* Client.Beanstalkd, yield* Server.Server)
  }).pipe(Effect.scoped, Effect.provide(Server.layerMemory(options)), withOwnMetrics, quietly)

/** What makes servers: `RealServer`, or the target of `describeServers`. */
export interface Target<out S, in O> {
  readonly make: (options?: O) => Effect.Effect<S, unknown, Scope.Scope>
}

/** Returns a function that opens a server and a client of it, until the Scope of the test ends. */
export const onServer = <S extends { readonly clientOptions: Client.Options }, O>(
  target: Target<S, O>,
  serverOptions?: O
) =>
  Effect.fnUntraced(function*(options?: Client.Options) {
    const server = yield* Effect.orDie(target.make(serverOptions))
    const beanstalkd = yield* Client.make({ ...server.clientOptions, ...options })
    return { server, beanstalkd }
  })
