/**
 * Opening a connection: the dial, and the tubes to begin with.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { Options } from "../../Connection.ts"
import * as Errors from "../../Errors.ts"
import { commands, type Failure } from "../../Protocol.ts"
import { type ConnectionSettings, resolve } from "./options.ts"
import { CLOSED_BY_SCOPE } from "./endings.ts"
import { Pipeline } from "./pipeline.ts"

const openFailed = (server: string, reason: Errors.BeanstalkdErrorReason) =>
  new Errors.BeanstalkdError({ command: "connect", server, sent: false, reason })

// All of it leaves in one write.
const chooseTubes = (pipeline: Pipeline, { use, watch }: ConnectionSettings) => {
  const steps: Array<Effect.Effect<unknown, Failure<"use" | "ignore">>> = []
  if (use !== undefined) steps.push(pipeline.run(commands.use, use))
  for (const tube of watch) if (tube !== "default") steps.push(pipeline.run(commands.watch, tube))
  if (!watch.includes("default")) steps.push(pipeline.run(commands.ignore, "default"))
  return Effect.all(steps, { concurrency: "unbounded", discard: true })
}

const dial = Effect.fnUntraced(function*(settings: ConnectionSettings) {
  const { dialer, server } = settings
  const pipeline = new Pipeline(settings, yield* Effect.context())
  const transport = yield* dialer.open(pipeline).pipe(Effect.mapError((reason) => openFailed(server, reason)))
  pipeline.attach(transport)
  yield* Effect.addFinalizer(() => Effect.sync(() => pipeline.die(CLOSED_BY_SCOPE)))
  // `sent: false` although bytes have left: they were ours, and no command of the caller was among them.
  yield* chooseTubes(pipeline, settings).pipe(
    Effect.mapError((error) =>
      openFailed(server, error._tag === "BeanstalkdError" ? error.reason : new Errors.OpenError({ cause: error }))
    )
  )
  return pipeline
})

/** Opens a pipeline, which ends with the Scope. A dial that fails leaves nothing behind in the Scope. */
export const open = Effect.fnUntraced(function*(
  settings: ConnectionSettings
): Effect.fn.Return<Pipeline, Errors.BeanstalkdError, Scope.Scope> {
  const scope = yield* Scope.fork(yield* Effect.scope)
  return yield* dial(settings).pipe(
    Scope.provide(scope),
    Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
  )
})

/** Opens a pipeline with these options as they are now. `operation` is the function that was called with them. */
export const connect = (
  operation: string,
  options: Options
): Effect.Effect<Pipeline, Errors.BeanstalkdError, Scope.Scope> =>
  Effect.flatMap(Effect.fromResult(resolve(operation, options)), open)
