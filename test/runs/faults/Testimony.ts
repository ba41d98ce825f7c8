/**
 * What a session was told about its jobs and its commands, to be held against what the server knows.
 */
import { assert } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { BeanstalkdError } from "../../../src/Errors.ts"

/** By body: it must be there, it must not, or it may be either way. */
type Belief = "there" | "not there" | "unknown"

const NETWORK: ReadonlySet<string> = new Set([
  "OpenError",
  "OpenTimeout",
  "ConnectionClosed",
  "ReadError",
  "WriteError",
  "CommandTimeout",
  "AcquireTimeout"
])

export class Testimony {
  readonly #beliefs = new Map<string, Belief>()
  /** Commands that were answered, and those that failed. */
  answered = 0
  failed = 0

  /**
   * Runs a command, and gives its value, or undefined if it failed. It may fail as one does whose connection is lost, or
   * with one of these tags; anything else is a defect.
   */
  run<A, E, R>(
    command: Effect.Effect<A, E, R>,
    ...tags: ReadonlyArray<string>
  ): Effect.Effect<A | undefined, never, R> {
    return Effect.map(Effect.exit(command), (exit) => {
      if (Exit.isSuccess(exit)) {
        this.answered++
        return exit.value
      }
      this.failed++
      const error = Cause.squash(exit.cause)
      if (error instanceof BeanstalkdError) assert.include([...NETWORK], error.reason._tag, error.message)
      else assert.include(tags, (error as { readonly _tag?: string })._tag, String(error))
      return undefined
    })
  }

  /** Runs a put of this body. */
  put<A, E>(body: string, put: Effect.Effect<A, E>): Effect.Effect<A | undefined> {
    return this.run(this.#note(body, "there", "not there", put))
  }

  /** Runs a command after which the job with this body is gone. */
  remove<A, E>(body: string, remove: Effect.Effect<A, E>, ...tags: ReadonlyArray<string>) {
    return this.run(this.#note(body, "not there", this.#beliefs.get(body) ?? "unknown", remove), ...tags)
  }

  #note<A, E>(body: string, done: Belief, undone: Belief, command: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.onExit(command, (exit) =>
      Effect.sync(() => {
        const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
        const isUnsent = error instanceof BeanstalkdError && !error.sent
        this.#beliefs.set(body, error === undefined ? done : isUnsent ? undone : "unknown")
      }))
  }

  /** Holds it against the bodies that the server has. */
  agreesWith(bodies: ReadonlyArray<string>): void {
    const there = new Set(bodies)
    assert.strictEqual(there.size, bodies.length, `a job is there twice: ${bodies.join(" ")}`)
    for (const [body, belief] of this.#beliefs) {
      if (belief === "there") assert.isTrue(there.has(body), `${body} was acknowledged, and is not there`)
      if (belief === "not there") assert.isFalse(there.has(body), `${body} was not sent, or is deleted, and is there`)
    }
  }
}
