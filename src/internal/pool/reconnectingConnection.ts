/**
 * The shared connection: any number of fibers pipeline their commands on it, each naming its tube. When it is lost it is
 * dialled again, as a `Schedule` says, and commands wait meanwhile. What has left is never sent a second time; what has
 * not goes to the new connection.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { identity } from "effect/Function"
import * as Latch from "effect/Latch"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Errors from "../../Errors.ts"
import { CLOSED_BY_SCOPE, type Pipeline } from "../connection/pipeline.ts"
import * as Protocol from "../../Protocol.ts"
import { closedBeforeFirstReply, DialBackoff, lossOf, type Reconnect } from "./dialBackoff.ts"

/**
 * What it needs: how to open a pipeline, when to dial again, and how long a command waits while there is none.
 */
export interface Settings {
  readonly server: string
  readonly open: Effect.Effect<Pipeline, Errors.BeanstalkdError, Scope.Scope>
  readonly reconnect: Reconnect
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

const awaitDeath = (pipeline: Pipeline): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const forget = pipeline.onDeath(() => resume(Effect.void))
    return Effect.sync(forget)
  })

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
  const oneAtATime = Semaphore.makeUnsafe(1)
  const backoff = new DialBackoff(reconnect, clock)
  let current: Pipeline | undefined
  let supervisor: Fiber.Fiber<void> | undefined
  let isClosing = false
  let lastFailure: Errors.BeanstalkdErrorReason = new Errors.ConnectionClosed({ detail: "it has not been opened" })

  const failure = (command: string) =>
    Effect.suspend(() => Effect.fail(new Errors.BeanstalkdError({ command, server, sent: false, reason: lastFailure })))

  const install = (pipeline: Pipeline, own: Scope.Closeable) => {
    current = pipeline
    // First, since it may be dead already: those who wait would try it again and again.
    pipeline.onDeath(() => {
      current = undefined
      lastFailure = pipeline.death ?? lastFailure
      if (isClosing) return
      Latch.closeUnsafe(isUp)
      fork(Scope.close(own, Exit.void))
    })
    if (current === pipeline) Latch.openUnsafe(isUp)
    return pipeline
  }

  const dial = Effect.uninterruptibleMask(Effect.fnUntraced(function*(restore) {
    if (current !== undefined) return current
    const own = yield* Scope.fork(scope)
    return yield* restore(Scope.provide(open, own)).pipe(
      Effect.map((pipeline) => install(pipeline, own)),
      Effect.onError((cause) => Scope.close(own, Exit.failCause(cause))),
      Effect.tapError(({ reason }) => Effect.sync(() => lastFailure = reason))
    )
  })).pipe(oneAtATime.withPermits(1))

  // From the dial to the death, over and over, until the Schedule ends.
  const lives: Effect.Effect<void> = backoff.dial(dial).pipe(
    Effect.flatMap((pipeline) =>
      Effect.map(awaitDeath(pipeline), () => {
        if (closedBeforeFirstReply(pipeline)) backoff.onClosedBeforeFirstReply(lossOf(pipeline))
        else backoff.onReply()
      })
    ),
    Effect.retry({ while: (error) => !backoff.isFinal(error) }),
    Effect.forever,
    Effect.ignore
  )

  const supervise = () => {
    if (supervisor !== undefined || isClosing) return
    backoff.beginAnew()
    const fiber = fork(Effect.ensuring(lives, Effect.sync(() => supervisor = undefined)))
    supervisor = fiber.pollUnsafe() === undefined ? fiber : undefined
  }

  // Those who wait must not wait for what will never come.
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      isClosing = true
      if (current === undefined) lastFailure = CLOSED_BY_SCOPE
      Latch.openUnsafe(isUp)
      return supervisor === undefined ? Effect.void : Fiber.interrupt(supervisor)
    })
  )

  // While there is no connection: the arguments are checked all the same, and only then is the command made to wait.
  const runLater = <Args extends ReadonlyArray<unknown>, Invalid, A, E>(
    until: number,
    command: Protocol.Command<Args, Invalid, A, E>,
    args: Args
  ): Effect.Effect<A, Invalid | E | Errors.BeanstalkdError> =>
    Effect.suspend(() => {
      const request = Protocol.encode(command, args)
      if (request instanceof Errors.InvalidArgument) return Effect.fail(request)
      supervise()
      return Latch.await(isUp).pipe(
        Effect.timeoutOrElse({
          duration: Math.max(0, until - clock.currentTimeMillisUnsafe()),
          orElse: () => failure(command.name)
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
      return resume(isClosing ? failure(command.name) : later())
    })

  return identity<Shared>({
    connect: Effect.andThen(dial, Effect.sync(supervise)),
    run: (command, ...args) => runNow(undefined, command, args),
    isUp: Effect.sync(() => current !== undefined)
  })
})
