/**
 * The way to the server.
 */
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Client from "../Client.ts"
import { connect as connectPipeline } from "../internal/connection/connect.ts"
import { DEFAULT_COMMAND_TIMEOUT } from "../internal/connection/options.ts"
import { commands } from "../Protocol.ts"
import { wrongUsage } from "./failures.ts"
import { beanstalk } from "./root.ts"

/** The most that a beanstalkd can be told to accept as a body. */
const LARGEST_BODY = 1024 * 1024 * 1024

const fromEnvironment = Config.option(Config.String("BEANSTALKD_URL")).pipe(Effect.orDie)

/** Where the server is, from the flags or else from the environment. */
export const serverOptions = Effect.gen(function*() {
  const flags = yield* beanstalk
  const host = Option.getOrUndefined(flags.host)
  const port = Option.getOrUndefined(flags.port)
  // One source or the other: a port from here for a host from there is nobody's server.
  const url = Option.getOrUndefined(
    host !== undefined || port !== undefined || Option.isSome(flags.url) ? flags.url : yield* fromEnvironment
  )
  if (url?.startsWith("unix:") && (host !== undefined || port !== undefined)) {
    return yield* wrongUsage("a server is either a unix socket or has --host and --port")
  }
  const timeout = Option.getOrUndefined(flags.serverTimeout)
  const options: Client.Options = {
    host,
    port,
    url,
    maxReplySize: LARGEST_BODY + 2,
    connectTimeout: timeout,
    commandTimeout: timeout
  }
  return options
})

/**
 * A client on the server. It has been heard of by then: one that accepts and stays silent would let a waiting reserve
 * wait for as long as the reserve itself may take.
 */
export const connect = Effect.gen(function*() {
  const client = yield* Client.make(yield* serverOptions)
  yield* client.pool.shared.run(commands.listTubeUsed)
  return client
})

/** A connection of one's own, for what is sent in batches. */
export const openPipeline = Effect.flatMap(serverOptions, (options) => connectPipeline("Connection.make", options))

/** How long the server may be silent. */
export const patience = Effect.map(
  serverOptions,
  ({ commandTimeout }) => Duration.fromInputUnsafe(commandTimeout ?? DEFAULT_COMMAND_TIMEOUT)
)
