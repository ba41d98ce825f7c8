/**
 * The server that the commands work on, and connections to it.
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Client from "../Client.ts"
import { connect as connectPipeline } from "../internal/connection/connect.ts"
import { commands } from "../Protocol.ts"
import { wrongUsage } from "./failures.ts"
import { beanstalk } from "./root.ts"

/** The largest body, in bytes, that any beanstalkd can be configured to accept. */
const LARGEST_BODY = 1024 * 1024 * 1024

const fromEnvironment = Config.option(Config.String("BEANSTALKD_URL")).pipe(Effect.orDie)

/** The server that the flags name, or else the environment. */
export const serverOptions = Effect.gen(function*() {
  const flags = yield* beanstalk
  const host = Option.getOrUndefined(flags.host)
  const port = Option.getOrUndefined(flags.port)
  // Either the flags or the environment: a host from one and a port from the other would name a server that nobody meant.
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
 * A client whose server has answered one command. Without that check a server that accepts and stays silent would keep a
 * reserve without a timeout waiting forever.
 */
export const connect = Effect.gen(function*() {
  const client = yield* Client.make(yield* serverOptions)
  yield* client.run(commands.listTubeUsed)
  return client
})

/** A connection beside the client's, for batches. */
export const openPipeline = Effect.flatMap(serverOptions, (options) => connectPipeline("Connection.make", options))
