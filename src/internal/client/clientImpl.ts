/**
 * The client of one server: each member of the service, over the shared connection or one of the pool's.
 */
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import type * as Scope from "effect/Scope"
import type { Options, Service } from "../../Client.ts"
import * as Errors from "../../Errors.ts"
import type * as Protocol from "../../Protocol.ts"
import { commands } from "../../Protocol.ts"
import { open } from "../connection/connect.ts"
import { fromPipeline } from "../connection/fromPipeline.ts"
import { resolve } from "../connection/options.ts"
import * as Fetcher from "../consumer/fetcher.ts"
import { type Internals, internals } from "../pool/internals.ts"
import { makePool } from "../pool/poolImpl.ts"
import type { JobId } from "../protocol/scalars.ts"
import * as Validate from "../protocol/validate.ts"
import { idOf, type JobIdentifier } from "./byId.ts"
import { healthOf } from "./health.ts"
import { type ClientOfOne, poolKey } from "./internals.ts"
import { makePutAll, putCommand } from "./putCommand.ts"
import { makeReserve } from "./reserve.ts"
import * as Settings from "./settings.ts"

// In the table the tube may be left out, for the one in use. Here it may not: an unset variable must not mean `default`.
export const inTube = <A, E>(
  command: string,
  tube: string,
  effect: () => Effect.Effect<A, E>
): Effect.Effect<A, E | Errors.InvalidArgument> => {
  if (tube !== undefined) return effect()
  const missing = Validate.tube(command, "tube", tube)
  return missing instanceof Errors.InvalidArgument ? Effect.fail(missing) : effect()
}

// The caller hears of it if this dial fails, so it need not be logged.
const dialOnce = ({ contact, shared }: Internals): Effect.Effect<void, Errors.BeanstalkdError> =>
  Effect.suspend(() => {
    contact.ignore()
    return Effect.map(shared.connect, () => contact.watch())
  })

/**
 * Makes a client for the function `operation`, which errors about options name. It dials once, and fails if it cannot
 * connect.
 */
export const makeClient = Effect.fnUntraced(function*(
  operation: string,
  given: Options
): Effect.fn.Return<ClientOfOne, Errors.BeanstalkdError, Scope.Scope> {
  const options = yield* Settings.snapshot(operation, given)
  const { server } = yield* Effect.fromResult(resolve(operation, options))
  const wait = yield* Settings.waitOf(operation, server, options)
  const client = yield* makeIdleClient(operation, options)
  const parts = internals(client[poolKey])
  yield* wait === undefined ? dialOnce(parts) : parts.shared.connectWithin(wait)
  return client
})

/** Makes a client that dials with its first command, or when its shared connection is supervised. */
export const makeIdleClient = Effect.fnUntraced(function*(
  operation: string,
  options: Options
): Effect.fn.Return<ClientOfOne, Errors.BeanstalkdError, Scope.Scope> {
  const connection = yield* Effect.fromResult(resolve(operation, options))
  const pool = yield* makePool(operation, options)
  const { contact, shared } = internals(pool)
  const { server } = pool
  const { run } = shared
  const byId = <A, E>(
    command: Protocol.Command<[id: JobId], Errors.InvalidArgument, A, E>,
    job: JobIdentifier
  ): Effect.Effect<A, E | Errors.InvalidArgument | Errors.BeanstalkdError> => {
    const id = idOf(command.name, server, job)
    return id instanceof Errors.InvalidArgument ? Effect.fail(id) : run(command, id)
  }
  const put: Service["put"] = (tube, body, options) => inTube("put", tube, () => run(putCommand, body, options, tube))
  return identity<ClientOfOne>({
    server,
    put,
    putAll: makePutAll(put),
    ...makeReserve(pool, connection.commandTimeoutMillis),
    delete: (job) => byId(commands.delete, job),
    peek: (job) => byId(commands.peek, job),
    peekReady: (tube) => inTube("peek-ready", tube, () => run(commands.peekReady, tube)),
    peekDelayed: (tube) => inTube("peek-delayed", tube, () => run(commands.peekDelayed, tube)),
    peekBuried: (tube) => inTube("peek-buried", tube, () => run(commands.peekBuried, tube)),
    kick: (tube, bound) => inTube("kick", tube, () => run(commands.kick, bound, tube)),
    kickJob: (job) => byId(commands.kickJob, job),
    pauseTube: (tube, delay) => run(commands.pauseTube, tube, delay),
    stats: run(commands.stats),
    statsTube: (tube) => run(commands.statsTube, tube),
    statsJob: (job) => byId(commands.statsJob, job),
    listTubes: run(commands.listTubes),
    connection: Effect.map(open(connection), fromPipeline),
    poolStats: pool.stats,
    health: Effect.sync(() => healthOf(server, contact)),
    run: (command, ...args) => run(command, ...args),
    intake: (settings) => Fetcher.make(internals(pool), settings),
    [poolKey]: pool
  })
})
