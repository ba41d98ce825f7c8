/**
 * The server that the commands work on, and connections to it.
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { readFileSync } from "node:fs"
import * as Client from "../Client.ts"
import { connect as connectPipeline } from "../internal/connection/connect.ts"
import { commands } from "../Protocol.ts"
import { wrongUsage } from "./failures.ts"
import { beanstalk } from "./root.ts"

/** The number of small commands in a batch: enough that the round trip costs next to nothing per command. */
export const BATCH = 4096

/** The largest body, in bytes, that any beanstalkd can be configured to accept. */
const LARGEST_BODY = 1024 * 1024 * 1024

const fromEnvironment = Config.option(Config.String("BEANSTALKD_URL")).pipe(Effect.orDie)

interface TlsFlags {
  readonly tlsCa: Option.Option<string>
  readonly tlsCert: Option.Option<string>
  readonly tlsKey: Option.Option<string>
}

const readPem = (flag: string, path: Option.Option<string>) =>
  Option.isNone(path) ? Effect.undefined : Effect.try({
    try: () => {
      const text = readFileSync(path.value, "utf8")
      if (!text.includes("-----BEGIN ")) throw new Error("it is not in PEM")
      return text
    },
    catch: (error) => wrongUsage(`--${flag} ${path.value}: ${(error as Error).message}`)
  })

const tlsOptions = Effect.fnUntraced(function*({ tlsCa, tlsCert, tlsKey }: TlsFlags) {
  if (Option.isSome(tlsCert) !== Option.isSome(tlsKey)) {
    return yield* wrongUsage("--tls-cert and --tls-key go together")
  }
  const ca = yield* readPem("tls-ca", tlsCa)
  const cert = yield* readPem("tls-cert", tlsCert)
  const key = yield* readPem("tls-key", tlsKey)
  if (ca === undefined && cert === undefined) return undefined
  return { ...(ca === undefined ? {} : { ca }), ...(cert === undefined ? {} : { cert, key }) }
})

/** The options for another server that a URL names. The files for TLS count if it has TLS. */
export const optionsOfUrl = Effect.fnUntraced(function*(url: string) {
  const { host: _, port: __, tls, ...options } = yield* serverOptions
  return { ...options, url, ...(tls !== undefined && url.startsWith("beanstalk+tls:") ? { tls } : {}) }
})

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
  const tls = yield* tlsOptions(flags)
  if (url?.startsWith("unix:") && tls !== undefined) {
    return yield* wrongUsage("a unix socket has no TLS: --tls-ca, --tls-cert and --tls-key need a host")
  }
  const timeout = Option.getOrUndefined(flags.serverTimeout)
  const options: Client.Options = {
    host,
    port,
    url,
    ...(tls === undefined ? {} : { tls }),
    maxReplySize: LARGEST_BODY + 2,
    connectTimeout: timeout,
    commandTimeout: timeout
  }
  return options
})

// Without an answer to a first command, a server that accepts and stays silent would keep a reserve without a timeout
// waiting forever. It must be a command that no fork lacks: whatever takes a put has `use`.
const PROBE = ["default"] as const

/** A client whose server has answered one command. */
export const connect = Effect.gen(function*() {
  const client = yield* Client.make(yield* serverOptions)
  yield* client.run(commands.use, ...PROBE)
  return client
})

/** A connection with these options, to a server that has answered one command. */
export const openPipelineWith = Effect.fnUntraced(function*(options: Client.Options) {
  const pipeline = yield* connectPipeline("Connection.make", { ...options, maxUnanswered: BATCH })
  yield* pipeline.run(commands.use, ...PROBE)
  return pipeline
})

/** A connection for batches. */
export const openPipeline = Effect.flatMap(serverOptions, openPipelineWith)

/** What the largest body is taken for, of a server that has no statistics. */
const GUESSED_MAX_JOB_SIZE = 1024 * 1024

/** The largest body that the server accepts. */
export const maxJobSizeOf = (server: Pick<Client.Service, "run">) =>
  server.run(commands.stats).pipe(
    Effect.map(({ maxJobSize }) => maxJobSize),
    Effect.catchReason("BeanstalkdError", "UnknownCommand", () => Effect.succeed(GUESSED_MAX_JOB_SIZE))
  )
