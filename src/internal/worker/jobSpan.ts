/**
 * The span of a handler. It ends when both are over, the handler and its job, and has an event for the command that settled
 * the job.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as References from "effect/References"
import type * as Tracer from "effect/Tracer"
import type { Head } from "../../Envelope.ts"
import { fromTraceContext } from "../envelope/traceContext.ts"
import type { ReservedJob } from "../job/reservedJob.ts"
import * as Spans from "../telemetry/spans.ts"
import { DecodeFailure } from "./decodeFailure.ts"
import { Discard, isA, Snooze } from "./directives.ts"
import { Expired } from "./expired.ts"

/** How the span of a handler belongs to that of the put. */
export type Relation = "parent" | "link" | "none"

/** The span in which the job was put, if the handler is to know. */
export const creationOf = (head: Head | undefined, relation: Relation): Tracer.ExternalSpan | undefined =>
  head === undefined || relation === "none" ? undefined : fromTraceContext(head)

/** Where the span is: in the trace of the put, in a trace of its own that links to that one, or alone. */
export const place = (
  creation: Tracer.ExternalSpan | undefined,
  relation: Relation
): Tracer.SpanOptionsNoTrace => {
  if (creation === undefined) return ALONE
  return relation === "parent"
    ? { kind: "consumer", parent: creation }
    : { kind: "consumer", root: true, links: [{ span: creation, attributes: {} }] }
}

const ALONE = { kind: "consumer", root: true } as const

// A handler that says what becomes of its job has not failed.
const outcomeOf = (exit: Exit.Exit<unknown, unknown>): Exit.Exit<unknown, unknown> => {
  if (Exit.isSuccess(exit)) return exit
  const error = Exit.findErrorOption(exit)
  if (error._tag === "None") return exit
  if (isA(error.value, DecodeFailure)) return Exit.fail(error.value.error)
  return isA(error.value, Snooze) || isA(error.value, Discard) || isA(error.value, Expired) ? Exit.void : exit
}

class JobSpan {
  readonly #job: ReservedJob
  readonly #clock: Clock.Clock
  readonly #isTimed: boolean
  readonly span: Tracer.Span
  #isOver = false
  #outcome: Exit.Exit<unknown, unknown> | undefined

  constructor(span: Tracer.Span, job: ReservedJob, clock: Clock.Clock, isTimed: boolean) {
    this.span = span
    this.#job = job
    this.#clock = clock
    this.#isTimed = isTimed
    job.whenOver(() => this.#onOver())
  }

  /** The handler has ended. */
  readonly handled = (exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> => {
    this.#outcome = outcomeOf(exit)
    Spans.markFailure(this.span, this.#outcome)
    if (this.#isOver) this.#end()
    return Effect.void
  }

  #onOver(): void {
    const { isLost, settledBy } = this.#job
    this.#isOver = true
    if (isLost) this.span.event("lease lost", this.#now())
    else this.span.event("settle", this.#now(), Spans.settle(settledBy))
    this.#end()
  }

  #end(): void {
    if (this.#outcome !== undefined) this.span.end(this.#now(), this.#outcome)
  }

  #now(): bigint {
    return this.#isTimed ? this.#clock.currentTimeNanosUnsafe() : 0n
  }
}

/** Runs a handler in a span of its own, at this place. `handled` is given the span. */
export const inSpan = <A, E, R>(
  delivery: Spans.Delivery & { readonly job: ReservedJob },
  place: Tracer.SpanOptionsNoTrace,
  handled: (span: Tracer.Span) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const clock = fiber.getRef(Clock.Clock)
    const isTimed = fiber.getRef(References.TracerTimingEnabled)
    return Effect.flatMap(Effect.makeSpan(`process ${delivery.tube}`, place), (span) => {
      Spans.describe(span, delivery)
      const own = new JobSpan(span, delivery.job, clock, isTimed)
      return Effect.onExit(handled(span), own.handled)
    })
  })
