/**
 * Spans as W3C Trace Context, both ways.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Tracer } from "effect"
import { fromTraceContext, toTraceContext } from "../../src/internal/envelope/traceContext.ts"

const TRACE = "0af7651916cd43dd8448eb211c80319c"
const SPAN = "b7ad6b7169203331"

describe("a traceparent", () => {
  it("gives a span, of version 00 and of later ones", () => {
    for (const traceparent of [`00-${TRACE}-${SPAN}-01`, `01-${TRACE}-${SPAN}-03`, `cc-${TRACE}-${SPAN}-01-more`]) {
      const span = fromTraceContext({ traceparent })
      assert.deepStrictEqual([span?.traceId, span?.spanId, span?.sampled], [TRACE, SPAN, true], traceparent)
    }
    assert.strictEqual(fromTraceContext({ traceparent: `00-${TRACE}-${SPAN}-02` })?.sampled, false)
  })

  it("gives none if it is not what the specification says", () => {
    const wrong = [
      "",
      `00-${TRACE}-${SPAN}`,
      `00-${TRACE}-${SPAN}-1`,
      `00-${TRACE}-${SPAN}-01-more`,
      `00-${TRACE}-${SPAN}-01\n`,
      `01-${TRACE}-${SPAN}-01more`,
      `ff-${TRACE}-${SPAN}-01`,
      `00-${TRACE.toUpperCase()}-${SPAN}-01`,
      `00-${"0".repeat(32)}-${SPAN}-01`,
      `00-${TRACE}-${"0".repeat(16)}-01`,
      ` 00-${TRACE}-${SPAN}-01`
    ]
    for (const traceparent of wrong) assert.strictEqual(fromTraceContext({ traceparent }), undefined, traceparent)
    assert.strictEqual(fromTraceContext({}), undefined)
  })

  it("comes back as it was, with its state", () => {
    for (
      const context of [
        { traceparent: `00-${TRACE}-${SPAN}-01`, tracestate: "vendor=1" },
        { traceparent: `00-${TRACE}-${SPAN}-00` }
      ]
    ) {
      assert.deepStrictEqual(toTraceContext(fromTraceContext(context)), context)
    }
  })

  it("is not made of a span that is not to be told", () => {
    const annotations = Context.make(Tracer.DisablePropagation, true)
    assert.deepStrictEqual(toTraceContext(Tracer.externalSpan({ traceId: TRACE, spanId: SPAN, annotations })), {})
    assert.deepStrictEqual(toTraceContext(undefined), {})
  })
})
