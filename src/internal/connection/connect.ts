/**
 * Opening a connection: its options and their defaults, the dial, and the tubes to begin with.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { identity } from "effect/Function"
import * as Scope from "effect/Scope"
import { refused } from "../protocol/invalidOptions.ts"
import * as Validate from "../protocol/validate.ts"
import * as Errors from "../../Errors.ts"
import { CLOSED_BY_SCOPE, Pipeline, type Settings } from "./pipeline.ts"
import { commands, type Failure } from "../../Protocol.ts"
import * as Transport from "./transport.ts"

/**
 * What a connection can be told. All have defaults.
 *
 * - `host`, `port`, `path`, `url`, `tls`, `connectTimeout`, `keepAlive`: see `Transport.Options`
 * - `commandTimeout`: how long the server may be silent while a command waits for its answer, default 10 seconds; a long
 *   answer begins that time anew with every 64 KiB
 * - `maxReplySize`: the longest body that is accepted from the server, in bytes, default 64 MiB
 * - `maxUnanswered`, `maxUnsentBytes`: past so many commands on their way, or about so many bytes in one write, further
 *   commands wait; default 1024 and 256 KiB
 * - `use`: the tube that `put` and the like work on, default `default`
 * - `watch`: the tubes that `reserve` takes jobs from, instead of `default`
 */
export interface Options extends Transport.Options {
  readonly commandTimeout?: Duration.Input | undefined
  readonly maxReplySize?: number | undefined
  readonly maxUnanswered?: number | undefined
  readonly maxUnsentBytes?: number | undefined
  readonly use?: string | undefined
  readonly watch?: string | ReadonlyArray<string> | undefined
}

/** Their names. */
export const OPTIONS: ReadonlyArray<keyof Options> = [
  ...Transport.OPTIONS,
  ...Validate.optionNames<Omit<Options, keyof Transport.Options>>({
    commandTimeout: true,
    maxReplySize: true,
    maxUnanswered: true,
    maxUnsentBytes: true,
    use: true,
    watch: true
  })
]

export const DEFAULT_COMMAND_TIMEOUT: Duration.Duration = Duration.seconds(10)
const DEFAULT_MAX_REPLY_SIZE = 64 * 1024 * 1024
const DEFAULT_MAX_UNANSWERED = 1024
const DEFAULT_MAX_UNSENT_BYTES = 256 * 1024

const atLeastOne = (argument: string, value: number): Effect.Effect<number, Errors.InvalidArgument> => {
  const count = Validate.wholeNumber("connect", argument, value, 1)
  return count instanceof Errors.InvalidArgument ? Effect.fail(count) : Effect.succeed(count)
}

const settingsOf = Effect.fnUntraced(function*(server: string, options: Options) {
  const timeout = Validate.positiveDuration(
    "connect",
    "commandTimeout",
    options.commandTimeout ?? DEFAULT_COMMAND_TIMEOUT
  )
  if (timeout instanceof Errors.InvalidArgument) return yield* timeout
  for (const tube of [options.use ?? "default", ...watchedTubes(options)]) {
    const checked = Validate.tube("connect", options.use === tube ? "use" : "watch", tube)
    if (checked instanceof Errors.InvalidArgument) return yield* checked
  }
  return identity<Settings>({
    server,
    commandTimeoutMillis: Duration.toMillis(timeout),
    maxReplySize: yield* atLeastOne("maxReplySize", options.maxReplySize ?? DEFAULT_MAX_REPLY_SIZE),
    maxUnanswered: yield* atLeastOne("maxUnanswered", options.maxUnanswered ?? DEFAULT_MAX_UNANSWERED),
    maxUnsentBytes: yield* atLeastOne("maxUnsentBytes", options.maxUnsentBytes ?? DEFAULT_MAX_UNSENT_BYTES)
  })
})

const openFailed = (server: string, reason: Errors.BeanstalkdErrorReason) =>
  new Errors.BeanstalkdError({ command: "connect", server, sent: false, reason })

/**
 * Options of these names as they are now, for all connections that are ever opened with them.
 */
export const read = <O extends Options>(
  options: O,
  names: ReadonlyArray<keyof O>
): Effect.Effect<Partial<O>, Errors.BeanstalkdError> => {
  const all = Validate.snapshot("connect", options, names)
  if (all instanceof Errors.InvalidArgument) return Effect.fail(refused(serverOf({}), all))
  return Effect.succeed(all.watch === undefined ? all : { ...all, watch: Validate.toArray(all.watch) })
}

/**
 * The address of the server, as errors show it.
 */
export const serverOf = (options: Options): string => Transport.make(options).server

/**
 * The tubes that a connection with these options watches.
 */
export const watchedTubes = ({ watch }: Options): ReadonlyArray<string> => {
  if (watch === undefined) return ["default"]
  const tubes: ReadonlyArray<string> = Array.isArray(watch) ? watch : [watch]
  return tubes.length === 0 ? ["default"] : tubes
}

// All of it leaves in one write.
const chooseTubes = (pipeline: Pipeline, options: Options) => {
  const steps: Array<Effect.Effect<unknown, Failure<"use" | "ignore">>> = []
  if (options.use !== undefined) steps.push(pipeline.run(commands.use, options.use))
  const tubes = watchedTubes(options)
  for (const tube of tubes) if (tube !== "default") steps.push(pipeline.run(commands.watch, tube))
  if (!tubes.includes("default")) steps.push(pipeline.run(commands.ignore, "default"))
  return Effect.all(steps, { concurrency: "unbounded", discard: true })
}

const dial = Effect.fnUntraced(function*(options: Options) {
  const dialer = Transport.make(options)
  const { server } = dialer
  const settings = yield* settingsOf(server, options).pipe(
    Effect.mapError((cause) => refused(server, cause))
  )
  const pipeline = new Pipeline(settings, yield* Effect.context())
  const transport = yield* dialer.open(pipeline).pipe(Effect.mapError((reason) => openFailed(server, reason)))
  pipeline.attach(transport)
  yield* Effect.addFinalizer(() => Effect.sync(() => pipeline.die(CLOSED_BY_SCOPE)))
  // Whatever has left so far was ours: no command of the caller has.
  yield* chooseTubes(pipeline, options).pipe(
    Effect.mapError((error) =>
      openFailed(server, error._tag === "BeanstalkdError" ? error.reason : new Errors.OpenError({ cause: error }))
    )
  )
  return pipeline
})

/**
 * Opens a pipeline, which ends with the Scope. A dial that fails leaves nothing behind in the Scope.
 */
export const open = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<Pipeline, Errors.BeanstalkdError, Scope.Scope> {
  const scope = yield* Scope.fork(yield* Effect.scope)
  return yield* dial(options).pipe(
    Scope.provide(scope),
    Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
  )
})
