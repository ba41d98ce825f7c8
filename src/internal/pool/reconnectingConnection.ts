/**
 * The shared connection: any number of fibers pipeline their commands on it, each naming its tube. When it is lost it is
 * dialed again, as a Schedule says, and commands wait meanwhile. A command that was sent is never sent a second time; one
 * that was not goes to the next connection.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Errors from "../../Errors.ts"
import type * as Protocol from "../../Protocol.ts"
import { CLOSED_BY_SCOPE } from "../connection/endings.ts"
import type { Pipeline } from "../connection/pipeline.ts"
import { encode } from "../protocol/requestWriter.ts"
import { closedBeforeFirstReply, DialBackoff, lossOf, type Reconnect } from "./dialBackoff.ts"
import type { Open } from "./opener.ts"

/** What a reconnecting connection needs. */
export interface Settings {
  readonly server: string
  readonly open: Open
  readonly reconnect: Reconnect
  /** How long a command waits while there is no connection. */
  readonly patienceMillis: number
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

/** A connection that is dialed again when it is lost. */
export class ReconnectingConnection {
  readonly #settings: Settings
  readonly #clock: Clock.Clock
  readonly #scope: Scope.Scope
  readonly #fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  readonly #backoff: DialBackoff
  readonly #up = Latch.makeUnsafe(false)
  readonly #oneAtATime = Semaphore.makeUnsafe(1)
  #current: Pipeline | undefined
  #supervisor: Fiber.Fiber<void> | undefined
  #isClosing = false
  /** Called when it is connected, and when that has ended. */
  onChange: () => void = () => {}
  #lastFailure: Errors.BeanstalkdErrorReason = new Errors.ConnectionClosed({ detail: "it has not been opened" })

  private constructor(
    settings: Settings,
    clock: Clock.Clock,
    scope: Scope.Scope,
    fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  ) {
    this.#settings = settings
    this.#clock = clock
    this.#scope = scope
    this.#fork = fork
    this.#backoff = new DialBackoff(settings.reconnect, clock, settings.patienceMillis)
  }

  /** A connection that ends with the Scope. It is dialed by `connect`, by `supervise`, or by the first command. */
  static readonly make = Effect.fnUntraced(function*(
    settings: Settings
  ): Effect.fn.Return<ReconnectingConnection, never, Scope.Scope> {
    const fork = Effect.runForkWith(yield* Effect.context())
    const self = new ReconnectingConnection(settings, yield* Clock.Clock, yield* Effect.scope, fork)
    yield* Effect.addFinalizer(() => self.#close)
    return self
  })

  /** Dials once, if it is not connected. After that it reconnects by itself. */
  readonly connect: Effect.Effect<void, Errors.BeanstalkdError> = Effect.suspend(() =>
    Effect.map(this.#dial, () => this.supervise())
  )

  /** Dials until it is connected, or until this time is over. After that it reconnects by itself. */
  connectWithin(wait: Duration.Duration): Effect.Effect<void, Errors.BeanstalkdError> {
    const { server } = this.#settings
    const tooLate = () =>
      new Errors.BeanstalkdError({
        command: "connect",
        server,
        sent: false,
        reason: new Errors.OpenTimeout({ timeoutMillis: Duration.toMillis(wait) })
      })
    return this.#backoff.urgently(this.#dialUntilConnected).pipe(
      Effect.timeoutOrElse({ duration: wait, orElse: () => Effect.fail(this.#backoff.failure ?? tooLate()) }),
      Effect.map(() => this.supervise())
    )
  }

  /** Whether it is connected. */
  readonly isUp: Effect.Effect<boolean> = Effect.sync(() => this.#current !== undefined)

  /** The connection, while there is one. */
  get current(): Pipeline | undefined {
    return this.#current
  }

  /** How many commands are queued or await their replies. */
  get load(): number {
    return this.#current?.load ?? 0
  }

  /** Why there is no connection, while there is none. */
  get lastFailure(): Errors.BeanstalkdErrorReason {
    return this.#lastFailure
  }

  /** Runs a command on it, as soon as it is connected. */
  readonly run = <Args extends ReadonlyArray<unknown>, Invalid, A, E>(
    command: Protocol.Command<Args, Invalid, A, E>,
    ...args: Args
  ): Effect.Effect<A, Invalid | E | Errors.BeanstalkdError> => this.#runNow(undefined, command, args)

  /** Starts a command if it is connected now, and fails otherwise. A command that did not leave is not started again. */
  startNow<Args extends ReadonlyArray<unknown>, Invalid, A, E>(
    command: Protocol.Command<Args, Invalid, A, E>,
    args: Args,
    resume: (exit: Exit.Exit<A, Invalid | E | Errors.BeanstalkdError>) => void
  ): Effect.Effect<void> | undefined {
    if (this.#current !== undefined) return this.#current.start(command, args, resume)
    resume(Exit.fail(this.#errorOf(command.name)))
    return undefined
  }

  // Below the level of effects, since every command comes through here.
  #runNow<Args extends ReadonlyArray<unknown>, Invalid, A, E>(
    until: number | undefined,
    command: Protocol.Command<Args, Invalid, A, E>,
    args: Args
  ): Effect.Effect<A, Invalid | E | Errors.BeanstalkdError> {
    return Effect.callback((resume) => {
      if (this.#current !== undefined) {
        return this.#current.start(
          command,
          args,
          (exit) => resume(isUnsent(exit) && !this.#isClosing ? this.#runLater(until, command, args) : exit)
        )
      }
      return resume(this.#isClosing ? this.#failure(command.name) : this.#runLater(until, command, args))
    })
  }

  // The arguments are checked first: a command that makes no sense fails at once, also while there is no connection.
  #runLater<Args extends ReadonlyArray<unknown>, Invalid, A, E>(
    givenUntil: number | undefined,
    command: Protocol.Command<Args, Invalid, A, E>,
    args: Args
  ): Effect.Effect<A, Invalid | E | Errors.BeanstalkdError> {
    return Effect.suspend(() => {
      const now = this.#clock.currentTimeMillisUnsafe()
      const until = givenUntil ?? now + this.#settings.patienceMillis
      const request = encode(command, args)
      if (request instanceof Errors.InvalidArgument) return Effect.fail(request)
      const wait = Effect.suspend(() => {
        this.supervise()
        return Latch.await(this.#up)
      })
      return this.#backoff.urgently(wait).pipe(
        Effect.timeoutOrElse({ duration: Math.max(0, until - now), orElse: () => this.#failure(command.name) }),
        Effect.andThen(this.#runNow(until, command, args))
      )
    })
  }

  #failure(command: string): Effect.Effect<never, Errors.BeanstalkdError> {
    return Effect.suspend(() => Effect.fail(this.#errorOf(command)))
  }

  #errorOf(command: string): Errors.BeanstalkdError {
    const { server } = this.#settings
    return new Errors.BeanstalkdError({ command, server, sent: false, reason: this.#lastFailure })
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Dialing
  // -------------------------------------------------------------------------------------------------------------------

  /** Sees to it that it is connected, or is being dialed, and does not wait for that. */
  supervise(): void {
    if (this.#supervisor !== undefined || this.#isClosing) return
    this.#backoff.beginAnew()
    const ended = Effect.sync(() => this.#supervisor = undefined)
    const fiber = this.#fork(Effect.ensuring(this.#lives, ended))
    this.#supervisor = fiber.pollUnsafe() === undefined ? fiber : undefined
  }

  // One life after the other, each from the dial to the death, until the Schedule ends.
  readonly #lives: Effect.Effect<void> = Effect.suspend(() => this.#dialUntilConnected).pipe(
    Effect.flatMap((pipeline) =>
      Effect.map(awaitDeath(pipeline), () => {
        if (closedBeforeFirstReply(pipeline)) this.#backoff.onClosedBeforeFirstReply(lossOf(pipeline))
        else this.#backoff.onReply()
      })
    ),
    Effect.forever,
    Effect.ignore
  )

  readonly #dialUntilConnected = Effect.suspend(() =>
    Effect.retry(this.#backoff.dial(this.#dial), { while: (error) => !this.#backoff.isFinal(error) })
  )

  readonly #dial: Effect.Effect<Pipeline, Errors.BeanstalkdError> = Effect.uninterruptibleMask((restore) =>
    Effect.suspend(() => {
      if (this.#current !== undefined) return Effect.succeed(this.#current)
      const scope = Scope.forkUnsafe(this.#scope)
      return restore(Scope.provide(this.#settings.open, scope)).pipe(
        Effect.map((pipeline) => this.#install(pipeline, scope)),
        Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause))),
        Effect.tapError(({ reason }) => Effect.sync(() => this.#lastFailure = reason))
      )
    })
  ).pipe(this.#oneAtATime.withPermits(1))

  #install(pipeline: Pipeline, scope: Scope.Closeable): Pipeline {
    this.#current = pipeline
    // Before the waiters are woken: on a connection that is dead already they would try again and again.
    pipeline.onDeath(() => {
      this.#current = undefined
      this.#lastFailure = pipeline.death ?? this.#lastFailure
      if (this.#isClosing) return
      Latch.closeUnsafe(this.#up)
      this.onChange()
      this.#fork(Scope.close(scope, Exit.void))
    })
    if (this.#current === pipeline) {
      Latch.openUnsafe(this.#up)
      this.onChange()
    }
    return pipeline
  }

  readonly #close: Effect.Effect<void> = Effect.suspend(() => {
    this.#isClosing = true
    if (this.#current === undefined) this.#lastFailure = CLOSED_BY_SCOPE
    // Wakes the waiters: the connection will not come back.
    Latch.openUnsafe(this.#up)
    return this.#supervisor === undefined ? Effect.void : Fiber.interrupt(this.#supervisor)
  })
}
