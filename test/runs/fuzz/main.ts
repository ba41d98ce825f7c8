/**
 * `npm run fuzz -- --seed S --count N`: hostile servers, callers and clients, N of each, from the seed S; a new one unless told. It
 * prints what it has tried, and fails with the seed of what went wrong.
 */
import * as Effect from "effect/Effect"
import { parseArgs } from "node:util"
import * as Usage from "../../support/Usage.ts"
import * as Calls from "./Calls.ts"
import * as Clients from "./Clients.ts"
import * as Replies from "./Replies.ts"

const { count, seed } = Usage.read("usage: npm run fuzz -- [--seed S] [--count N]", () => {
  const { values } = parseArgs({
    options: {
      seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 32)) },
      count: { type: "string", default: "200000" }
    }
  })
  return { seed: Usage.whole("seed", values.seed), count: Usage.positive("count", values.count) }
})

const escaped: Array<unknown> = []
for (const event of ["uncaughtException", "unhandledRejection"] as const) {
  process.on(event, (error) => {
    escaped.push(error)
  })
}

const megabytes = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(1)} MiB`

const heap = (): number => {
  globalThis.gc?.()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

const timed = async <A>(what: string, run: (count: number) => Effect.Effect<A, unknown>) => {
  // What is made once is made before.
  await Effect.runPromise(run(Math.min(count, 2000)))
  const before = heap()
  const began = performance.now()
  const outcome = await Effect.runPromise(run(count))
  const seconds = (performance.now() - began) / 1000
  console.log(`${what}: ${JSON.stringify(outcome)} in ${seconds.toFixed(1)} s, heap ${megabytes(heap() - before)} more`)
}

console.log(`seed ${seed}`)
try {
  await timed("fuzzed replies", (count) => Replies.run(seed, count))
  await timed("fuzzed calls", (count) => Calls.run(seed, count))
  await timed("fuzzed commands", (count) => Clients.run(seed, count))
  if (escaped.length > 0) throw new Error(`${escaped.length} errors escaped`, { cause: escaped[0] })
  console.log("0 crashes, 0 hangs, 0 commands injected")
} catch (error) {
  console.error(`failed with seed ${seed}`, error)
  process.exitCode = 1
}
