/**
 * The names of the servers in memory of this process. A reference to a job names its server, so two servers that run side
 * by side and were given no name must not have the same one.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

const DEFAULT_NAME = "memory"

/** How many running servers have each name. */
const running = new Map<string, number>()

const countOf = (name: string): number => running.get(name) ?? 0

const firstFree = (): string => {
  if (countOf(DEFAULT_NAME) === 0) return DEFAULT_NAME
  let n = 2
  while (countOf(`${DEFAULT_NAME}-${n}`) > 0) n++
  return `${DEFAULT_NAME}-${n}`
}

/** The name of a server until the Scope ends: the one that it was given, or `memory`, `memory-2`, ... */
export const nameOf = (given: string | undefined): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const name = given ?? firstFree()
      running.set(name, countOf(name) + 1)
      return name
    }),
    (name) =>
      Effect.sync(() => {
        const left = countOf(name) - 1
        if (left > 0) running.set(name, left)
        else running.delete(name)
      })
  )
