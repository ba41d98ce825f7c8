/**
 * Spans as W3C Trace Context, which travels in the head of an envelope.
 */
import * as Context from "effect/Context"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import type { Head } from "./head.ts"

// Effect's spans have no trace state of their own.
const TraceState = Context.Reference<string | undefined>("effect-beanstalkd/TraceState", {
  defaultValue: () => undefined
})

/** The members of a head that say in which span its job was put. */
export type TraceContext = Pick<Head, "traceparent" | "tracestate">

// A span inherits the state of what it began with, as long as nobody may have changed it.
const stateOf = (span: Tracer.AnySpan): string | undefined => {
  let first = span
  while (first._tag === "Span" && Option.isSome(first.parent)) first = first.parent.value
  if (first._tag !== "ExternalSpan") return undefined
  const state = Context.get(first.annotations, TraceState)
  return state !== undefined && state.length <= MAX_STATE ? state : undefined
}

const NONE: TraceContext = {}

/** As much as others have to pass on. A longer one is left out, as the specification allows. */
const MAX_STATE = 512

const ZEROS = "0".repeat(32)

/** What tells others of a span; nothing if it must not be told. */
export const toTraceContext = (span: Tracer.AnySpan | undefined): TraceContext => {
  if (span === undefined || Context.get(span.annotations, Tracer.DisablePropagation)) return NONE
  const traceId = span.traceId.length === 32 ? span.traceId : (ZEROS + span.traceId).slice(-32)
  const traceparent = `00-${traceId}-${span.spanId}-${span.sampled ? "01" : "00"}`
  const tracestate = stateOf(span)
  return tracestate === undefined ? { traceparent } : { traceparent, tracestate }
}

// The ids are hexadecimal and not zero. Later versions than 00 may say more behind the flags; ff is none.
const TRACEPARENT =
  /^(?:00(?=.{53}$)|(?!00|ff)[0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/

/**
 * The span in which a job was put, if its envelope says so in a form that can be read. Not by Effect's `HttpTraceContext`: it reads
 * headers, which takes as long as all else that a span costs.
 */
export const fromTraceContext = ({ traceparent, tracestate }: TraceContext): Tracer.ExternalSpan | undefined => {
  const [, traceId, spanId, flags] = (traceparent === undefined ? null : TRACEPARENT.exec(traceparent)) ?? []
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined
  const sampled = (Number.parseInt(flags, 16) & 1) === 1
  return tracestate === undefined
    ? Tracer.externalSpan({ traceId, spanId, sampled })
    : Tracer.externalSpan({ traceId, spanId, sampled, annotations: Context.make(TraceState, tracestate) })
}
