/**
 * How much memory this process uses.
 */
import * as Effect from "effect/Effect"

/** In bytes; the buffers are outside of the heap. */
export const memory = Effect.gen(function*() {
  // Twice, with what is left of the last turn gone in between.
  for (let i = 0; i < 2; i++) {
    global.gc!()
    yield* Effect.promise(() => new Promise(setImmediate))
  }
  const { external, heapUsed } = process.memoryUsage()
  return heapUsed + external
})
