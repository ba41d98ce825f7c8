/**
 * The shared connection: any number of fibers pipeline their commands on it, each naming its tube. When it is lost it is
 * dialled again, as a `Schedule` says, and commands wait meanwhile. What has left is never sent a second time; what has
 * not goes to the new connection.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { identity } from "effect/Function"
import * as Latch from "effect/Latch"
import type * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Errors from "./Errors.ts"
import type { Pipeline } from "./Pipeline.ts"
import type * as Protocol from "./Protocol.ts"

/**
 * What it needs: how to open a pipeline, when to dial again, and how long a command waits while there is none.
 */
export interface Settings {
  readonly server: string
  readonly open: Effect.Effect<Pipeline, Errors.BeanstalkdError, Scope.Scope>
  readonly reconnect: Schedule.Schedule<unknown, Errors.BeanstalkdError>
  readonly patienceMillis: number
}

/**
 * A connection that comes back.
 */
export interface Shared {
  /** Dials once, if it is not connected. */
  readonly connect: Effect.Effect<void, Errors.BeanstalkdError>
  /** Runs a command on it, as soon as it is connected. */
  readonly run: <Args extends ReadonlyArray<unknown>, Invalid, A, E>(
    command: Protocol.Command<Args, Invalid, A, E>,
    ...args: Args
  ) => Effect.Effect<A, Invalid | E | Errors.BeanstalkdError>
  /** Whether it is connected. */
  readonly isUp: Effect.Effect<boolean>
}

// The command had not left when its connection was lost.
const isUnsent = (exit: Exit.Exit<unknown, unknown>): boolean => {
  if (Exit.isSuccess(exit)) return false
  const error = Cause.squash(exit.cause)
  return error instanceof Errors.BeanstalkdError && !error.sent && error.reason._tag === "ConnectionClosed"
}

/**
 * A shared connection that lives in the Scope. It is dialled by `connect`, or by the first command.
 */
export const make = Effect.fnUntraced(function*(
  { open, patienceMillis, reconnect, server }: Settings
): Effect.fn.Return<Shared, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const clock = yield* Clock.Clock
  const fork = Effect.runForkWith(yield* Effect.context())
  const isUp = Latch.makeUnsafe(false)
  let current: Pipeline | undefined
  let isRedialling = false
  let isClosing = false
  let lastFailure: Errors.BeanstalkdErrorReason = new Errors.ConnectionClosed({ detail: "it has not been opened" })

  const onDeath = (pipeline: Pipeline, own: Scope.Closeable) => {
    current = undefined
    Latch.closeUnsafe(isUp)
    lastFailure = pipeline.death ?? lastFailure
    fork(Scope.close(own, Exit.void))
    redial()
  }

  const connect = Effect.suspend(() =>
    current !== undefined ? Effect.void : Effect.gen(function*() {
      const own = yield* Scope.fork(scope)
      const pipeline = yield* Scope.provide(open, own)
      current = pipeline
      Latch.openUnsafe(isUp)
      pipeline.onDeath(() => onDeath(pipeline, own))
    })
  ).pipe(Effect.tapError(({ reason }) => Effect.sync(() => lastFailure = reason)))

  const redial = () => {
    if (isRedialling || isClosing) return
    isRedialling = true
    fork(
      connect.pipe(
        Effect.retry(reconnect),
        Effect.ignore,
        Effect.ensuring(Effect.sync(() => isRedialling = false)),
        Effect.forkIn(scope)
      )
    )
  }

  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      isClosing = true
    })
  )

  const giveUp = (command: string) =>
    Effect.fail(new Errors.BeanstalkdError({ command, server, sent: false, reason: lastFailure }))

  // While there is no connection: the arguments are checked all the same, and only then is the command made to wait.
  const runLater = <Args extends ReadonlyArray<unknown>, Invalid, A, E>(
    until: number,
    command: Protocol.Command<Args, Invalid, A, E>,
    args: Args
  ): Effect.Effect<A, Invalid | E | Errors.BeanstalkdError> =>
    Effect.suspend(() => {
      const request = command.encode(...args)
      if (request instanceof Errors.InvalidArgument) return Effect.fail(request)
      redial()
      return Latch.await(isUp).pipe(
        Effect.timeoutOrElse({
          duration: until - clock.currentTimeMillisUnsafe(),
          orElse: () => giveUp(command.name)
        }),
        Effect.andThen(runNow(until, command, args))
      )
    })

  // Below the level of effects, since every command comes through here.
  const runNow = <Args extends ReadonlyArray<unknown>, Invalid, A, E>(
    until: number | undefined,
    command: Protocol.Command<Args, Invalid, A, E>,
    args: Args
  ): Effect.Effect<A, Invalid | E | Errors.BeanstalkdError> =>
    Effect.callback((resume) => {
      const later = () => runLater(until ?? clock.currentTimeMillisUnsafe() + patienceMillis, command, args)
      if (current !== undefined) {
        return current.start(command, args, (answer) => resume(isUnsent(answer) && !isClosing ? later() : answer))
      }
      return resume(isClosing ? giveUp(command.name) : later())
    })

  return identity<Shared>({
    connect,
    run: (command, ...args) => runNow(undefined, command, args),
    isUp: Effect.sync(() => current !== undefined)
  })
})
