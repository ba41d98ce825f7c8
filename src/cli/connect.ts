/**
 * The server that the commands work on, and connections to it.
 */
import * as Config from "effect/Config"
import * as Context from "effect/Context"
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
  if (severalIn(url) !== undefined) {
    return yield* wrongUsage(`--to-url ${url} names several servers: export from here, and put there with import`)
  }
  return { ...options, url, ...(tls !== undefined && url.startsWith("beanstalk+tls:") ? { tls } : {}) }
})

const SEVERAL = /^beanstalk\+srv:|^(beanstalk(\+tls)?:\/\/)?(?!unix:)[^/]*,/

/** The URL of several servers, if the text is one. A list of hosts needs no scheme. */
export const severalIn = (url: string | undefined): string | undefined =>
  url === undefined || !SEVERAL.test(url) ? undefined : url.includes("://") ? url : `beanstalk://${url}`

/** The server that a command works on, of several. */
export class Chosen extends Context.Service<Chosen, { readonly server: string; readonly options: Client.Options }>()(
  "effect-beanstalkd/cli/Chosen"
) {}

/** What is printed as JSON, with the server if the command works on several. */
export const withServer = <A extends object>(json: A): Effect.Effect<A | A & { readonly server: string }> =>
  Effect.map(
    Effect.serviceOption(Chosen),
    (chosen) => Option.isNone(chosen) ? json : { ...json, server: chosen.value.server }
  )

/** The only server of a command, or of several the one whose turn it is. */
export const serverOptions = Effect.gen(function*() {
  const chosen = yield* Effect.serviceOption(Chosen)
  if (Option.isSome(chosen)) return chosen.value.options
  const options = yield* givenOptions
  if (severalIn(options.url) === undefined) return options
  return yield* wrongUsage(
    `this command works on one server, and ${options.url} names several: name one of them with --url`
  )
})

/** What the flags say of the server or the servers, or else the environment. */
export const givenOptions = Effect.gen(function*() {
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

/** A client with these options, whose server has answered one command. */
export const connectWith = Effect.fnUntraced(function*(options: Client.Options) {
  const client = yield* Client.make(options)
  yield* client.run(commands.use, ...PROBE)
  return client
})

/** A client whose server has answered one command. */
export const connect = Effect.flatMap(serverOptions, connectWith)

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
