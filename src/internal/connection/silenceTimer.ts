/**
 * Notices a server that has gone silent. The time counts from when the oldest unanswered command became the oldest: a
 * reply, enough bytes of a long one, or a part of a large command that leaves, begins it anew. One timer serves all commands
 * of a connection.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { PendingCommand } from "./pipelineState.ts"

// A long reply can take longer than the command timeout, so each of these many bytes of it counts as progress.
const PROGRESS_BYTES = 64 * 1024

// A timer that fires so late tells that this process was busy or suspended, and that answers may lie unread.
const LATE_MILLIS = 50
// They are read long before this is over, on every runtime.
const READING_MILLIS = 100

/** The timer of one connection. */
export class SilenceTimer {
  readonly #timeoutMillis: number
  readonly #onSilence: () => void
  readonly #clock: Clock.Clock
  readonly #fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  #oldest: PendingCommand | undefined
  /** When the oldest command runs out of time; never while there is none. */
  #deadline = Infinity
  #bytesSinceProgress = 0
  /** When the first part of a large command left, as long as others follow. */
  #sendingSince: number | undefined
  /** No time counts before this. */
  #notBefore = -Infinity
  #timer: Fiber.Fiber<void> | undefined
  #firesAt = 0
  #isCanceled = false
  /** The time that counts was given once more, after a timer that fired late. */
  #isExtended = false

  /** Calls `onSilence` when an oldest command has been the oldest for `timeoutMillis`, and as long as it may wait. */
  constructor(timeoutMillis: number, onSilence: () => void, context: Context.Context<never>) {
    this.#timeoutMillis = timeoutMillis
    this.#onSilence = onSilence
    this.#clock = Context.get(context, Clock.Clock)
    this.#fork = Effect.runForkWith(context)
  }

  /** Watches this command, the oldest that has been sent and not been answered. */
  arm(oldest: PendingCommand | undefined): void {
    if (this.#isCanceled) return
    if (oldest !== this.#oldest) this.#begin(oldest)
    const deadline = this.#deadline
    // Too early is fine, since `onTimer` sets the timer again; so most commands set none.
    if (deadline === Infinity || (this.#timer !== undefined && this.#firesAt <= deadline)) return
    this.#timer?.interruptUnsafe()
    this.#firesAt = deadline
    this.#timer = this.#fork(
      Effect.sleep(deadline - this.#now()).pipe(
        Effect.andThen(Effect.yieldNow),
        Effect.andThen(Effect.sync(this.#onTimer))
      )
    )
    this.#interruptIfCanceled()
  }

  /** Bytes have come, after which this is the oldest command. */
  onProgress(bytes: number, oldest: PendingCommand | undefined): void {
    this.#bytesSinceProgress += bytes
    if (oldest === this.#oldest && this.#bytesSinceProgress < PROGRESS_BYTES) return
    this.#begin(oldest)
    this.arm(oldest)
  }

  /**
   * A part of a large command has left, the last one or not, and this is the oldest command. The operating system still has
   * bytes after the last one, which may need as long again.
   */
  onSent(isLast: boolean, oldest: PendingCommand | undefined): void {
    const now = this.#now()
    const since = this.#sendingSince ??= now
    if (isLast) {
      this.#sendingSince = undefined
      this.#notBefore = now + (now - since)
    }
    this.#begin(oldest)
    this.arm(oldest)
  }

  /** For how long the server has owed an answer, in milliseconds, or undefined while it owes none or may still wait. */
  get owedMillis(): number | undefined {
    const millis = this.#now() - this.#deadline + this.#timeoutMillis
    return millis >= 0 ? millis : undefined
  }

  /** Ends it for good. */
  cancel(): void {
    this.#isCanceled = true
    this.#oldest = undefined
    this.#timer?.interruptUnsafe()
  }

  #now(): number {
    return Number(this.#clock.monotonicTimeNanosUnsafe() / 1_000_000n)
  }

  // A command that makes the server wait, a reserve, has that much more time.
  #begin(oldest: PendingCommand | undefined): void {
    this.#oldest = oldest
    this.#bytesSinceProgress = 0
    this.#isExtended = false
    this.#deadline = oldest === undefined
      ? Infinity
      : Math.max(this.#now(), this.#notBefore) + (oldest.request.seconds ?? 0) * 1000 + this.#timeoutMillis
  }

  // Forking runs code of others, such as a scheduler, which may have ended the connection.
  #interruptIfCanceled(): void {
    if (this.#isCanceled) this.#timer?.interruptUnsafe()
  }

  readonly #onTimer = (): void => {
    this.#timer = undefined
    const now = this.#now()
    if (this.#deadline > now) return this.arm(this.#oldest)
    const isLate = now - this.#firesAt > LATE_MILLIS
    if (!isLate || this.#isExtended) return this.#onSilence()
    // Once only, so that a process that is always late finds out in the end.
    this.#isExtended = true
    this.#deadline = now + READING_MILLIS
    this.arm(this.#oldest)
  }
}
