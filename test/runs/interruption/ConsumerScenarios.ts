/**
 * Streams, tubes and workers.
 */
import * as Effect from "effect/Effect"
import type * as Inspectable from "effect/Inspectable"
import * as Layer from "effect/Layer"
import type * as Pipeable from "effect/Pipeable"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Client, Consumer, Tube, Worker } from "effect-beanstalkd"
import type { Interruptible } from "./Interruptible.ts"
import { PRIORITY, type Stage } from "./Stage.ts"

const Numbers = Tube.make("numbers", { schema: Schema.Finite, priority: PRIORITY })

type Needs<A = unknown> = (stage: Stage) => Effect.Effect<A, unknown, Client.Beanstalkd>

// One is buried, three are ready, one is delayed, and one does not decode.
const putNumbers = Effect.fnUntraced(function*({ client }: Stage) {
  yield* Numbers.put(0)
  yield* Effect.scoped(Effect.flatMap(client.reserve("numbers"), (job) => job.bury()))
  yield* Numbers.putAll([1, 2, 3])
  yield* Numbers.put(4, { delay: "1 hour" })
  yield* client.put("numbers", "not a number", { priority: PRIORITY })
})

const withNumbers = (run: Needs, expected: Omit<Interruptible, "prepare"> = {}): Interruptible => ({
  prepare: (stage) =>
    Effect.as(putNumbers(stage), Effect.provideService(run(stage), Client.Beanstalkd, stage.client)).pipe(
      Effect.provideService(Client.Beanstalkd, stage.client)
    ),
  ...expected
})

const three = <A extends { readonly delete: Effect.Effect<void, unknown> }, E, R>(jobs: Stream.Stream<A, E, R>) =>
  jobs.pipe(Stream.take(3), Stream.mapEffect((job) => job.delete), Stream.runDrain)

/** Streams of reserved jobs. */
export const consumer: Record<string, Interruptible> = {
  stream: withNumbers(() => three(Consumer.stream("numbers")), { removes: 3 }),
  "stream of one after the other": withNumbers(() => three(Consumer.stream("numbers", { prefetch: 1 })), {
    removes: 3
  }),
  "stream of several tubes, handled side by side": withNumbers(
    () =>
      Consumer.stream(["numbers", "jobs"], { keepLeases: true, maxInFlight: 2 }).pipe(
        Stream.mapEffect((job) => job.delete, { concurrency: 3 }),
        Stream.take(4),
        Stream.runDrain
      ),
    { removes: 4, mayRemoveMore: 1 }
  ),
  "stream that waits": withNumbers(() => Stream.runDrain(Consumer.stream("nothing"))),
  "stream whose jobs are not settled": withNumbers(() =>
    Consumer.stream("numbers").pipe(Stream.take(2), Stream.runDrain)
  ),
  take: withNumbers(() => Effect.scoped(Consumer.take("numbers")), { removes: 1 }),
  "take that waits": withNumbers(() => Effect.scoped(Consumer.take("nothing"))),
  "take and fail": withNumbers(() =>
    Effect.flip(Effect.scoped(Effect.andThen(Consumer.take("numbers"), Effect.fail("no"))))
  ),
  "take and settle, one after the other in one Scope": withNumbers(
    () =>
      Effect.scoped(
        Effect.replicateEffect(Effect.flatMap(Consumer.take("numbers", { timeout: 0 }), (job) => job.delete), 3)
      ),
    { removes: 3 }
  ),
  "take and work, until the lease is lost": withNumbers(() =>
    Effect.scoped(Effect.flatMap(Consumer.take("numbers"), (job) => Effect.raceFirst(Effect.never, job.lost)))
  )
}

type NoCommand = "name" | Tube.TypeId | keyof Inspectable.Inspectable | keyof Pipeable.Pipeable

/** Each member of a tube. */
export const tube: Record<Exclude<keyof typeof Numbers, NoCommand>, Interruptible> = {
  client: withNumbers(() => Numbers.client),
  put: withNumbers(() => Numbers.put(5), { adds: 1 }),
  putAll: withNumbers(() => Numbers.putAll([5, 6]), { adds: 2 }),
  sink: withNumbers(() => Stream.run(Stream.make(5, 6), Numbers.sink()), { adds: 2 }),
  stream: withNumbers(() => three(Numbers.stream()), { removes: 3 }),
  streamResult: withNumbers(
    () =>
      Numbers.streamResult().pipe(
        Stream.mapEffect(Result.match({ onSuccess: (job) => job.delete, onFailure: ({ job }) => job.bury() })),
        Stream.take(4),
        Stream.runDrain
      ),
    { removes: 3 }
  ),
  decode: withNumbers(({ client }) => Effect.flatMap(client.peekReady("numbers"), Numbers.decode)),
  peekReady: withNumbers(() => Numbers.peekReady),
  peekDelayed: withNumbers(() => Numbers.peekDelayed),
  peekBuried: withNumbers(() => Numbers.peekBuried),
  kick: withNumbers(() => Numbers.kick(2)),
  pause: withNumbers(() => Numbers.pause("1 hour")),
  stats: withNumbers(() => Numbers.stats)
}

const works = (
  handler: Worker.Handler<number, string, never>,
  options: Worker.Options<number, string, never>,
  expected: Omit<Interruptible, "prepare">
): Interruptible => withNumbers(() => Worker.run(Numbers, handler, options), expected)

/** Workers, which end by no other way. */
export const worker: Record<string, Interruptible> = {
  "run, handlers succeed": works(() => Effect.void, {}, { removes: 3 }),
  "run, several handlers, without crashGuard": works(() => Effect.yieldNow, { concurrency: 4, crashGuard: false }, {
    removes: 3
  }),
  "run, handlers fail": works(() => Effect.fail("no"), { concurrency: 2 }, {}),
  "run, handlers fail for good": works(() => Effect.fail("no"), { maxAttempts: 1, deadLetter: "dead" }, {
    adds: 3,
    removes: 3
  }),
  "run, handlers die": works(() => Effect.die("no"), { concurrency: 2 }, {}),
  "run, handlers settle": works((_, job) => Effect.ignore(job.bury()), {}, {}),
  "run, handlers go on for ever": works(() => Effect.never, { concurrency: 2, shutdownTimeout: "1 second" }, {}),
  layer: withNumbers(() => Layer.launch(Worker.layer(Numbers, () => Effect.void)), { removes: 3 })
}
