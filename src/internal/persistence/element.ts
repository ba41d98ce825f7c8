/**
 * An element of a queue as the body of a job: one line of JSON with its id, itself, and the token of its claim if the id was
 * chosen by the producer.
 */
import * as Result from "effect/Result"
import { isUtf8 } from "node:buffer"
import type { ReservedJob } from "../job/reservedJob.ts"

/** An element. */
export interface Element {
  readonly id: string
  readonly element: unknown
  /** Whose claim to the id must be its own before it is delivered. */
  readonly token?: string | undefined
}

/** The body of a job. It throws what `JSON.stringify` throws. */
export const encode = ({ element, id, token }: Element): string => JSON.stringify({ id, element, token })

const isOptionalText = (value: unknown): boolean => value === undefined || typeof value === "string"

/** The element in the body of a job, or what is wrong with it. */
export const decode = ({ body, text }: Pick<ReservedJob, "body" | "text">): Result.Result<Element, string> => {
  // The text would have U+FFFD for what was lost.
  if (!isUtf8(body)) return Result.fail("the body is no UTF-8")
  try {
    const parsed: Partial<Element> | null = JSON.parse(text)
    if (typeof parsed !== "object" || parsed === null) return Result.fail("the body is no object of JSON")
    if (typeof parsed.id !== "string") return Result.fail("the body has no id that is a text")
    if (!isOptionalText(parsed.token)) return Result.fail("the body has a token that is no text")
    return Result.succeed(parsed as Element)
  } catch (cause) {
    return Result.fail(`the body is no JSON: ${cause instanceof Error ? cause.message : String(cause)}`)
  }
}
