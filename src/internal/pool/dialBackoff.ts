/**
 * When a connection may be dialed again: the `reconnect` Schedule as state, one for each owner of connections.
 *
 * After a dial that failed, the next one waits as the Schedule says, and dials go out one at a time until one succeeds.
 * A connection that the server closed before its first reply counts as a dial that failed: a proxy whose server is down
 * accepts and closes. There a successful dial proves nothing, so each dial waits for its step of the Schedule until a
 * connection has heard a reply, and no Schedule makes the dials more frequent than {@link MIN_INTERVAL_MILLIS} allows.
 *
 * The Schedule is for a time in which nobody asks. Whoever does ({@link DialBackoff.urgently}) must not fail on a server that
 * has been back for long: the next dial comes at once, unless one has just failed, and while somebody waits no pause is
 * longer than a part of that wait.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"
import * as Semaphore from "effect/Semaphore"
import * as Errors from "../../Errors.ts"
import { CLOSED_BY_SCOPE } from "../connection/endings.ts"
import type { Pipeline } from "../connection/pipeline.ts"

/** When to dial again. */
export type Reconnect = Schedule.Schedule<unknown, Errors.BeanstalkdError>

/**
 * The time between two dials of one owner while the server closes connections before their first reply, and between a dial
 * that failed and one that somebody asks for.
 */
export const MIN_INTERVAL_MILLIS = 100

// While somebody waits, this many dials at least go out before the wait is over.
const DIALS_PER_WAIT = 3

// Dials made at once while all was well count too, so that no second has more of them than the interval allows. The bound
// keeps a pool of a hundred connections from waiting ten seconds for a server that closed all of them once.
const MAX_WAIT_MILLIS = 1000

type Step = (now: number, error: Errors.BeanstalkdError) => Pull.Pull<[unknown, Duration.Duration], never, unknown>

/**
 * Whether the connection ended before its first reply, and not because the client closed it. A server that speaks
 * another protocol, or says nothing, is no better than one that closes.
 */
export const closedBeforeFirstReply = ({ closedBeforeFirstReply, death, hasAnswered }: Pipeline): boolean =>
  closedBeforeFirstReply ||
  (!hasAnswered && (
    death?._tag === "CommandTimeout" ||
    (death?._tag === "ConnectionClosed" && death.cause instanceof Errors.UnexpectedReply)
  ))

/** Why a connection has to be dialed again that ended before its first reply. */
export const lossOf = ({ death, server }: Pipeline): Errors.BeanstalkdError =>
  new Errors.BeanstalkdError({
    command: "connect",
    server,
    sent: false,
    reason: death ?? new Errors.ConnectionClosed({ detail: "the server closed it" })
  })

/** Whether another dial may succeed: the options are not wrong, and the owner is not being closed. */
export const mayRedial = (error: Errors.BeanstalkdError): boolean =>
  error.isRetryable && error.reason !== CLOSED_BY_SCOPE

// The connection was established and broke before it could be used.
const wasAccepted = ({ reason }: Errors.BeanstalkdError): boolean =>
  reason._tag !== "OpenError" && reason._tag !== "OpenTimeout"

/**
 * The pauses between the dials of one owner.
 */
export class DialBackoff {
  readonly #reconnect: Reconnect
  readonly #clock: Clock.Clock
  readonly #oneAtATime = Semaphore.makeUnsafe(1)
  /** The Schedule, from the first failure to the next reply. */
  #step: Step | undefined
  /** The last failure, until all is well. */
  #failure: Errors.BeanstalkdError | undefined
  /** The next dial has to wait for a step of the Schedule. */
  #isStepDue = false
  #dueSince = 0
  /** A connection ended before its first reply, and none has heard a reply since. */
  #closedBeforeFirstReply = false
  #notBefore = 0
  /** When the next dial would keep the interval. */
  #nextSlot = 0
  #hasEnded = false
  /** Somebody has asked for a dial: the rest of the pause is left out. */
  #isHurried = false
  #waiting = 0
  readonly #hurried = Latch.makeUnsafe(false)
  readonly #longestPauseMillis: number

  /** `waitMillis` is how long those wait who ask. */
  constructor(reconnect: Reconnect, clock: Clock.Clock, waitMillis = Infinity) {
    this.#reconnect = reconnect
    this.#clock = clock
    this.#longestPauseMillis = Math.max(MIN_INTERVAL_MILLIS, waitMillis / DIALS_PER_WAIT)
  }

  /** Why dials have to wait, or undefined while all is well. */
  get failure(): Errors.BeanstalkdError | undefined {
    return this.#failure
  }

  /** Whether a reply would be news: there was a failure, and no connection that was dialed since has heard one. */
  get awaitsReply(): boolean {
    return this.#step !== undefined || this.#failure !== undefined
  }

  /**
   * Opens a connection as soon as it may be dialed. It fails if that dial fails, or with the last failure if the Schedule
   * has ended: then nothing is dialed before {@link beginAnew}.
   */
  dial<A, R>(open: Effect.Effect<A, Errors.BeanstalkdError, R>): Effect.Effect<A, Errors.BeanstalkdError, R> {
    const attempt = this.#attempt(open)
    return Effect.suspend(() => this.#failure === undefined ? attempt : this.#dialInTurn(open, attempt))
  }

  /** Waits as long as a dial would have to wait now, or fails as it would if the Schedule has ended. */
  readonly beforeDial: Effect.Effect<void, Errors.BeanstalkdError> = Effect.suspend(() =>
    this.#failure === undefined ? Effect.void : this.#oneAtATime.withPermits(1)(this.#pause)
  )

  /** Waits for a connection that is dialed by somebody else, or again and again, and hurries the dials meanwhile. */
  urgently<A, E, R>(wait: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.suspend(() => {
      this.#waiting++
      if (this.#now() - this.#dueSince >= MIN_INTERVAL_MILLIS) this.#isHurried = this.#failure !== undefined
      Latch.openUnsafe(this.#hurried)
      return Effect.ensuring(wait, Effect.sync(() => this.#waiting--))
    })
  }

  // A dial that succeeded meanwhile frees all who wait here to dial at once.
  #dialInTurn<A, R>(
    open: Effect.Effect<A, Errors.BeanstalkdError, R>,
    attempt: Effect.Effect<A, Errors.BeanstalkdError, R>
  ): Effect.Effect<A, Errors.BeanstalkdError, R> {
    return Effect.suspend(() =>
      this.#failure === undefined
        ? Effect.undefined
        : Effect.map(Effect.andThen(this.#pause, attempt), (opened) => ({ opened }))
    ).pipe(
      this.#oneAtATime.withPermits(1),
      Effect.flatMap((result) => result === undefined ? this.dial(open) : Effect.succeed(result.opened))
    )
  }

  #attempt<A, R>(open: Effect.Effect<A, Errors.BeanstalkdError, R>): Effect.Effect<A, Errors.BeanstalkdError, R> {
    return Effect.suspend(() => {
      const now = this.#now()
      this.#isHurried = false
      this.#nextSlot = Math.min(Math.max(this.#nextSlot, now) + MIN_INTERVAL_MILLIS, now + MAX_WAIT_MILLIS)
      return open.pipe(
        Effect.tap(() => Effect.sync(() => this.#onOpen())),
        Effect.tapError((error) => Effect.sync(() => this.#onFailedDial(error)))
      )
    })
  }

  #onOpen(): void {
    if (this.#closedBeforeFirstReply) this.#makeStepDue()
    else if (!this.#isStepDue) this.#failure = undefined
  }

  #onFailedDial(error: Errors.BeanstalkdError): void {
    if (!mayRedial(error)) return
    this.#closedBeforeFirstReply = wasAccepted(error)
    this.onFailure(error)
  }

  /** A dial failed, or a connection that was of no use: the next dial waits as the Schedule says. */
  onFailure(error: Errors.BeanstalkdError): void {
    this.#failure = error
    this.#makeStepDue()
  }

  /** A connection ended before its first reply: see {@link closedBeforeFirstReply}. */
  onClosedBeforeFirstReply(error: Errors.BeanstalkdError): void {
    this.#closedBeforeFirstReply = true
    this.onFailure(error)
  }

  #makeStepDue(): void {
    this.#isStepDue = true
    this.#dueSince = this.#now()
  }

  /** A connection that was dialed since the last failure has heard a reply: all is well. */
  onReply(): void {
    this.#closedBeforeFirstReply = false
    this.#nextSlot = 0
    this.#reset()
    this.#failure = undefined
  }

  /** Whether the owner should not dial again after this failure: the Schedule has ended, or no dial can mend it. */
  isFinal(error: Errors.BeanstalkdError): boolean {
    return this.#hasEnded || !mayRedial(error)
  }

  /** Somebody asks for a connection. If the Schedule had ended, it begins anew, with a dial. */
  beginAnew(): void {
    if (!this.#hasEnded) return
    this.#reset()
    // Where connections end before their first reply, the interval outlives the Schedule.
    if (!this.#closedBeforeFirstReply) this.#failure = undefined
  }

  #reset(): void {
    this.#hasEnded = false
    this.#step = undefined
    this.#isStepDue = false
    this.#notBefore = 0
  }

  // A fiber that is interrupted while it waits leaves the rest of the pause to the next one.
  readonly #pause: Effect.Effect<void, Errors.BeanstalkdError> = Effect.gen({ self: this }, function*() {
    const failure = this.#failure
    if (failure === undefined) return
    if (this.#hasEnded) return yield* failure
    if (this.#isStepDue) {
      this.#step ??= yield* Schedule.toStep(this.#reconnect)
      // The pause began with the failure, so a dial that is asked for later has less of it to wait.
      const late = this.#now() - this.#dueSince
      const [, delay] = yield* Pull.catchDone(
        this.#step(this.#clock.currentTimeMillisUnsafe() - late, failure),
        () => this.#end(failure)
      )
      this.#isStepDue = false
      this.#notBefore = this.#dueSince + Duration.toMillis(delay)
    }
    for (let rest = this.#until() - this.#now(); rest > 0; rest = this.#until() - this.#now()) {
      Latch.closeUnsafe(this.#hurried)
      yield* Effect.timeoutOrElse(Latch.await(this.#hurried), { duration: rest, orElse: () => Effect.void })
    }
  })

  #until(): number {
    const longest = this.#isHurried ? 0 : this.#waiting > 0 ? this.#longestPauseMillis : Infinity
    const until = Math.min(this.#notBefore, this.#dueSince + longest)
    return this.#closedBeforeFirstReply ? Math.max(until, this.#nextSlot) : until
  }

  #end(failure: Errors.BeanstalkdError): Effect.Effect<never, Errors.BeanstalkdError> {
    this.#hasEnded = true
    return Effect.fail(failure)
  }

  #now(): number {
    return Number(this.#clock.monotonicTimeNanosUnsafe() / 1_000_000n)
  }
}
