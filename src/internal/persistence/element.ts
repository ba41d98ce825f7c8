/**
 * An element of a queue as the body of a job: one line of JSON with its id, itself, and the token of its claim if the id was
 * chosen by the producer.
 */
import * as Result from "effect/Result"

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

/** The element in a body, or what is wrong with it. */
export const decode = (text: string): Result.Result<Element, string> => {
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
