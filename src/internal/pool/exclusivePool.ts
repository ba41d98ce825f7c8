/**
 * The connections that one borrower has at a time: Effect's Pool, told of each connection that died, and two workarounds.
 *
 * 1. A borrower can wait forever in Effect's Pool (4.1.0). A fiber that resizes the pool compares its size with what is
 *    wanted and then releases the permit for resizing. A `get` that arrives in between finds the permit taken, starts no
 *    resize of its own, and waits for one that has made its decision already. A fiber must therefore not yield between the
 *    two, so all of the Pool runs with `PreventSchedulerYield` ({@link undivided}), except for the dial.
 * 2. `Pool.invalidate` does nothing for an item that the Pool does not have yet. A connection that died while it was being
 *    added would be lent like any other, so each one is looked at again when it is lent ({@link ExclusivePool.acquire}).
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as EffectPool from "effect/Pool"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import * as Errors from "../../Errors.ts"
import { CLOSED_BY_SCOPE } from "../connection/endings.ts"
import type { Pipeline } from "../connection/pipeline.ts"
import { closedBeforeFirstReply, type DialBackoff, lossOf } from "./dialBackoff.ts"
import type { Open, Opener } from "./opener.ts"

const undivided = Effect.provideService(Scheduler.PreventSchedulerYield, true)
const divisible = Effect.provideService(Scheduler.PreventSchedulerYield, false)

/** The sizes of a pool, and the tube that its connections use. */
export interface Settings {
  readonly minConnections: number
  readonly maxConnections: number
  readonly idleTimeout: Duration.Duration
  readonly tube: string
}

/** Connections that are lent. */
export class ExclusivePool {
  readonly #opener: Opener
  readonly #backoff: DialBackoff
  readonly #tube: string
  readonly #fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  readonly #scope: Scope.Closeable
  #pool: EffectPool.Pool<Pipeline, Errors.BeanstalkdError> | undefined
  /** Those that were dialed since the last failure: a reply to one of them means that all is well. */
  readonly #onTrial = new Set<Pipeline>()

  /** Called when a connection has died and the pool knows of it. */
  onLoss: () => void = () => {}

  private constructor(
    opener: Opener,
    backoff: DialBackoff,
    tube: string,
    fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>,
    scope: Scope.Closeable
  ) {
    this.#opener = opener
    this.#backoff = backoff
    this.#tube = tube
    this.#fork = fork
    this.#scope = scope
  }

  /** A pool that lasts until it is closed. It begins at once to open its least number of connections. */
  static readonly make = Effect.fnUntraced(function*(opener: Opener, backoff: DialBackoff, settings: Settings) {
    const fork = Effect.runForkWith(yield* Effect.context())
    const self = new ExclusivePool(opener, backoff, settings.tube, fork, yield* Scope.make())
    self.#pool = yield* EffectPool.makeWithTTL({
      acquire: divisible(self.#dial),
      min: settings.minConnections,
      max: settings.maxConnections,
      timeToLive: settings.idleTimeout,
      timeToLiveStrategy: "usage"
    }).pipe(undivided, Scope.provide(self.#scope))
    return self
  })

  /** Whether nothing is lent any more. */
  get isClosed(): boolean {
    return this.#opener.isClosed
  }

  /** How many connections are idle and how many are lent. */
  readonly stats: Effect.Effect<{ readonly idle: number; readonly used: number }> = Effect.suspend(() =>
    this.#pool === undefined ? Effect.succeed({ idle: 0, used: 0 }) : EffectPool.stats(this.#pool)
  )

  /** Lends a connection until the Scope is closed; {@link release} must be called before that. */
  readonly acquire: Open = Effect.suspend(() =>
    // A borrower whose connection has just been closed must not get an idle one that is closed next.
    this.isClosed || this.#pool === undefined
      ? Effect.fail(this.#opener.failure(CLOSED_BY_SCOPE))
      : EffectPool.get(this.#pool)
  ).pipe(
    undivided,
    Effect.filterOrElse(
      (pipeline) => pipeline.death === undefined,
      (pipeline) => Effect.andThen(this.#invalidate(pipeline), Effect.suspend(() => this.acquire))
    ),
    // Nobody interrupted the borrower: that is how a closed Pool answers.
    Effect.catchCause((cause) =>
      this.isClosed ? Effect.fail(this.#opener.failure(CLOSED_BY_SCOPE)) : Effect.failCause(cause)
    )
  )

  /** Makes a connection that comes back ready for the next borrower, or closes it if the last one left something on it. */
  release(pipeline: Pipeline): void {
    this.#judge(pipeline)
    if (pipeline.isQuiet && pipeline.session.held.size === 0) pipeline.session.chosenTube = this.#tube
    else pipeline.die(new Errors.ConnectionClosed({ detail: "it was given back with a command or a job left on it" }))
  }

  /** Ends the pool. Borrowers are not waited for: their connections are closed by the {@link Opener}. */
  readonly close: Effect.Effect<void> = Effect.suspend(() =>
    Effect.asVoid(Effect.forkDetach(Scope.close(this.#scope, Exit.void), { startImmediately: true }))
  )

  readonly #dial: Open = Effect.suspend(() => {
    for (const pipeline of this.#onTrial) this.#judge(pipeline)
    return Effect.map(this.#backoff.dial(this.#opener.open), (pipeline) => {
      if (this.#backoff.awaitsReply) this.#onTrial.add(pipeline)
      pipeline.onDeath(() => this.#onDeath(pipeline))
      return pipeline
    })
  })

  #judge(pipeline: Pipeline): void {
    if (pipeline.hasAnswered && this.#onTrial.delete(pipeline)) this.#backoff.onReply()
  }

  #onDeath(pipeline: Pipeline): void {
    if (closedBeforeFirstReply(pipeline)) this.#backoff.onClosedBeforeFirstReply(lossOf(pipeline))
    else this.#judge(pipeline)
    this.#onTrial.delete(pipeline)
    // At once: a borrower may be waiting for the place of this connection.
    this.#fork(Effect.andThen(this.#invalidate(pipeline), Effect.sync(() => this.onLoss())))
  }

  #invalidate(pipeline: Pipeline): Effect.Effect<void> {
    return undivided(
      Effect.suspend(() => this.#pool === undefined ? Effect.void : EffectPool.invalidate(this.#pool, pipeline))
    )
  }
}
