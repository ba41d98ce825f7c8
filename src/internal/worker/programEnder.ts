/**
 * Ends the program in order when a worker that was built as a layer cannot go on.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"

interface Process {
  readonly emit: (event: string, ...args: ReadonlyArray<unknown>) => boolean
  readonly listenerCount: (event: string) => number
}

const process = (): Process | undefined => {
  const { process } = globalThis as { readonly process?: Partial<Process> }
  return typeof process?.emit === "function" && typeof process.listenerCount === "function"
    ? process as Process
    : undefined
}

/**
 * Gives the function that ends the program, and tells whether it has been ended in order: then the Scope of the worker is
 * closed, and its end has to say why.
 *
 * A layer that has been built cannot fail any more. Where the fiber that built it goes on with the program, that fiber is
 * interrupted. Where several layers were built side by side it has ended: then the program is told to end as a SIGTERM
 * tells it, which `runMain` answers by interrupting the main fiber. Where nobody listens to that either, the error is thrown
 * where nothing catches it.
 */
export const programEnder: Effect.Effect<(error: unknown) => boolean> = Effect.withFiber(
  (fiber: Fiber.Fiber<unknown, unknown>) =>
    Effect.succeed((error: unknown) => {
      if (fiber.pollUnsafe() === undefined) {
        fiber.interruptUnsafe()
        return true
      }
      const host = process()
      if (host !== undefined && host.listenerCount("SIGTERM") > 0) return host.emit("SIGTERM", "SIGTERM", 15)
      queueMicrotask(() => {
        throw error
      })
      return false
    })
)
