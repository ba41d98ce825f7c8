/**
 * What a put finds around it that its envelope tells.
 */
import * as Clock from "effect/Clock"
import type * as Fiber from "effect/Fiber"
import type * as Tracer from "effect/Tracer"
import { Sender } from "./sender.ts"

/** When jobs are put, by whom, and in which span. */
export interface Moment {
  readonly clock: Clock.Clock
  readonly sender: string | undefined
  readonly span: Tracer.AnySpan | undefined
}

// An unset variable, or what a program without types provides, must not make envelopes that nobody can read.
const textOf = (sender: unknown): string | undefined => typeof sender === "string" && sender !== "" ? sender : undefined

/** What this fiber puts now. */
export const momentOf = (fiber: Fiber.Fiber<unknown, unknown>, span: Tracer.AnySpan | undefined): Moment => ({
  clock: fiber.getRef(Clock.Clock),
  sender: textOf(fiber.getRef(Sender)),
  span
})
