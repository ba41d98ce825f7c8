/**
 * What a process holds: memory, file descriptors, whatever keeps its event loop going.
 */
import * as Effect from "effect/Effect"
import { readdirSync } from "node:fs"

export interface Footprint {
  readonly heapMiB: number
  readonly fds: number
  readonly handles: number
}

const fds = (): number => {
  try {
    return readdirSync("/proc/self/fd").length
  } catch {
    // Not on Linux: what cannot be counted does not grow.
    return 0
  }
}

/** After a collection, and after a few turns, for a handle is closed in the turn after it was told to. */
export const measure: Effect.Effect<Footprint> = Effect.gen(function*() {
  for (let n = 0; n < 3; n++) {
    yield* Effect.sleep("50 millis")
    globalThis.gc?.()
  }
  return {
    heapMiB: process.memoryUsage().heapUsed / 1024 / 1024,
    fds: fds(),
    handles: process.getActiveResourcesInfo().length
  }
})
