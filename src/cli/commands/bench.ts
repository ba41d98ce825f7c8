/**
 * `bench`: measures how fast the server is from here.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type { Service } from "../../Client.ts"
import type { Pipeline } from "../../internal/connection/pipeline.ts"
import { commands } from "../../Protocol.ts"
import type { JobId } from "../../internal/protocol/scalars.ts"
import { batch, ifThere, values } from "../jobs/batch.ts"
import { BATCH, connect, openPipeline } from "../connect.ts"
import { documented } from "../documented.ts"
import { BoundedInt } from "../flags.ts"
import { scratchTube } from "../jobs/listing.ts"
import { result } from "../terminal/output.ts"
import * as Progress from "../terminal/progress.ts"

const ROUND_TRIPS = 1000
const RESERVED_AT_ONCE = 256

const timed = Effect.fnUntraced(function*<A, E, R>(effect: Effect.Effect<A, E, R>) {
  const clock = yield* Clock.Clock
  const began = clock.monotonicTimeNanosUnsafe()
  const value = yield* effect
  return { value, seconds: Number(clock.monotonicTimeNanosUnsafe() - began) / 1e9 }
})

// Removes the jobs of a run that was interrupted. Its reserved jobs become ready once its connection is closed.
const cleanUp = Effect.fnUntraced(function*({ run }: Service, pipeline: Pipeline, tube: string) {
  yield* Effect.exit(pipeline.run(commands.quit))
  while (true) {
    const job = yield* run(ifThere.peekReady, tube)
    if (job === undefined) return
    yield* run(commands.delete, job.id)
  }
}, (effect) => Effect.ignore(effect))

const sizes = (count: number, most: number): ReadonlyArray<number> =>
  Array.from({ length: Math.ceil(count / most) }, (_, i) => Math.min(most, count - i * most))

const times = <A>(n: number, value: A): ReadonlyArray<A> => Array.from({ length: n }, () => value)

const measure = Effect.fnUntraced(function*(pipeline: Pipeline, tube: string, count: number, size: number) {
  const progress = yield* Progress.make("bench", { total: count * 2 })
  const body = new Uint8Array(size).fill(120)
  const seconds = { put: 0, reserve: 0, delete: 0 }
  let done = 0
  const timedBatch = Effect.fnUntraced(function*<A, E>(
    phase: keyof typeof seconds,
    answers: Effect.Effect<ReadonlyArray<Exit.Exit<A, E>>>
  ) {
    const { seconds: took, value } = yield* timed(answers)
    seconds[phase] += took
    return yield* values(value)
  })

  for (const n of sizes(count, BATCH)) {
    yield* timedBatch("put", batch(pipeline, commands.put, times(n, [body, {}, tube] as const)))
    progress.at(done += n)
  }
  // Few at a time, because a server deletes slowly while one connection holds thousands of reserved jobs.
  for (const n of sizes(count, RESERVED_AT_ONCE)) {
    const jobs = yield* timedBatch("reserve", batch(pipeline, commands.reserveWithTimeout, times(n, [0] as const)))
    yield* timedBatch("delete", batch(pipeline, commands.delete, jobs.map(({ id }): [JobId] => [id])))
    progress.at(done += n)
  }
  const micros: Array<number> = []
  for (let i = 0; i < ROUND_TRIPS; i++) {
    micros.push((yield* timed(pipeline.run(commands.use, tube))).seconds * 1e6)
  }
  micros.sort((a, b) => a - b)
  const percentile = (part: number) => Math.round(micros[Math.floor(micros.length * part)]!)
  return {
    jobs: count,
    size,
    putPerSecond: Math.round(count / seconds.put),
    reservePerSecond: Math.round(count / seconds.reserve),
    deletePerSecond: Math.round(count / seconds.delete),
    roundTripMicros: { p50: percentile(0.5), p99: percentile(0.99) }
  }
})

export const bench = Command.make(
  "bench",
  {
    count: BoundedInt(Flag.String("jobs"), 1, 10_000_000).pipe(
      Flag.withAlias("n"),
      Flag.withMetavar("N"),
      Flag.withDescription("Number of jobs, default 50000"),
      Flag.withDefault(50_000)
    ),
    size: BoundedInt(Flag.String("size"), 0, 1024 * 1024).pipe(
      Flag.withMetavar("BYTES"),
      Flag.withDescription("Size of each body, default 64"),
      Flag.withDefault(64)
    )
  },
  Effect.fnUntraced(function*({ count, size }) {
    const client = yield* connect
    const pipeline = yield* openPipeline
    const tube = yield* scratchTube
    yield* pipeline.run(commands.watch, tube)
    yield* pipeline.run(commands.ignore, "default")
    const figures = yield* Effect.scoped(measure(pipeline, tube, count, size)).pipe(
      Effect.onError(() => cleanUp(client, pipeline, tube))
    )
    const { deletePerSecond, putPerSecond, reservePerSecond, roundTripMicros: { p50, p99 } } = figures
    yield* result(
      [
        `${count} jobs of ${size} bytes on ${client.server}, one connection, pipelined`,
        `put         ${putPerSecond}/s`,
        `reserve     ${reservePerSecond}/s`,
        `delete      ${deletePerSecond}/s`,
        `round trip  ${p50} us median, ${p99} us at the 99th percentile`
      ].join("\n"),
      figures
    )
  }, Effect.scoped)
).pipe(documented({
  description:
    "Measure how many jobs per second the server puts, reserves and deletes, in a scratch tube that is removed afterwards, " +
    "and how long a round trip takes",
  short: "Measure how fast the server is from here",
  examples: {
    "beanstalk bench": "Measure with 50000 jobs of 64 bytes",
    "beanstalk bench -n 1000 --size 10000 --json": "Measure with fewer and larger jobs, and print JSON"
  }
}))
