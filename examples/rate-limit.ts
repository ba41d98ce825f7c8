/**
 * A worker that stays below the limit of an API. It asks a rate limiter before each call: a job over the limit goes back to
 * the server, for as long as the limiter says, and uses no attempt. When the API says 429 all the same, the whole tube pauses
 * for as long as its Retry-After says: no worker on any machine reserves a job meanwhile.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { Clock, Console, DateTime, Duration, Effect, Layer, Option, Ref, Schedule, Schema } from "effect"
import { Tube, Worker } from "effect-beanstalkd"
import { HttpClient, HttpClientResponse, HttpRouter, HttpServerResponse } from "effect/http"
import { RateLimiter } from "effect/persistence"
import { run } from "./support/run.ts"

export const Texts = Tube.make("texts", { schema: Schema.Struct({ to: Schema.String }) })

/** What the API allows, for all workers together. */
export const LIMIT = { key: "texts", limit: 4, window: "1 second" } as const

export class TooManyRequests extends Schema.TaggedError<TooManyRequests>()("TooManyRequests", {
  retryAfter: Schema.Duration
}) {}

/**
 * How long a Retry-After header says to wait: seconds, or a date. Without one that makes sense, half a minute. At least a
 * second, since a pause of 0 ends a pause, and at most an hour, whatever the other side says.
 */
export const retryAfterOf = (header: string | undefined, now: number): Duration.Duration => {
  const millis = header !== undefined && /^\d+$/.test(header)
    ? Number(header) * 1000
    : DateTime.make(header ?? "").pipe(
      Option.match({ onNone: () => 30_000, onSome: (at) => at.epochMilliseconds - now })
    )
  return Duration.millis(Math.min(Math.max(millis, 1000), 3_600_000))
}

const send = Effect.fnUntraced(function*(to: string) {
  const client = yield* HttpClient.HttpClient
  const response = yield* client.post(`/send/${to}`)
  if (response.status === 429) {
    const retryAfter = retryAfterOf(response.headers["retry-after"], yield* Clock.currentTimeMillis)
    return yield* new TooManyRequests({ retryAfter })
  }
  yield* HttpClientResponse.filterStatusOk(response)
})

const pause = Effect.fnUntraced(function*({ retryAfter }: TooManyRequests) {
  yield* Texts.pause(retryAfter)
  yield* Console.log(`429: the tube is paused for ${Duration.format(retryAfter)}`)
}, Effect.ignore({ log: "Warn", message: "the tube could not be paused" }))

/** Both limits say when to come again, so neither is a failure. */
const retryAfter = (error: { readonly _tag: string }): Duration.Duration | undefined => {
  if (error instanceof TooManyRequests) return error.retryAfter
  const isOver = error instanceof RateLimiter.RateLimiterError && error.reason._tag === "RateLimitExceeded"
  return isOver ? error.reason.retryAfter : undefined
}

export const worker = Worker.run(
  Texts,
  Effect.fnUntraced(function*({ to }) {
    const limiter = yield* RateLimiter.RateLimiter
    yield* limiter.consume({ ...LIMIT, onExceeded: "fail" })
    yield* Effect.tapErrorTag(send(to), "TooManyRequests", pause)
  }),
  { concurrency: 4, retryAfter, logFailure: (error) => retryAfter(error) === undefined ? "Warn" : "Debug" }
)

/** One process counts for itself. Several share one store: `RateLimiter.layerStoreRedis()`, on `NodeRedis.layer`. */
export const Limiter = RateLimiter.layer.pipe(Layer.provide(RateLimiter.layerStoreMemory))

/** An API, to have one: the sixth request is one too many for it. */
const api = Effect.fnUntraced(function*(requests: Ref.Ref<number>, sent: Ref.Ref<ReadonlyArray<string>>) {
  const route = HttpRouter.add(
    "POST",
    "/send/:to",
    Effect.gen(function*() {
      const { to = "" } = yield* HttpRouter.params
      if ((yield* Ref.updateAndGet(requests, (n) => n + 1)) === 6) {
        return HttpServerResponse.empty({ status: 429, headers: { "retry-after": "1" } })
      }
      yield* Ref.update(sent, (all) => [...all, to])
      yield* Console.log(`sent to ${to}`)
      return HttpServerResponse.empty()
    })
  )
  return HttpRouter.serve(route, { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provideMerge(NodeHttpServer.layerTest)
  )
})

const demo = Effect.gen(function*() {
  const requests = yield* Ref.make(0)
  const sent = yield* Ref.make<ReadonlyArray<string>>([])
  yield* Texts.putAll(Array.from({ length: 10 }, (_, i) => ({ to: `${i + 1}` })))
  const untilAllIsSent = Ref.get(sent).pipe(
    Effect.repeat({ until: (all) => all.length === 10, schedule: Schedule.spaced("50 millis") })
  )
  yield* Effect.raceFirst(worker, untilAllIsSent).pipe(
    Effect.provide(Layer.merge(Limiter, yield* api(requests, sent)))
  )
  yield* Console.log(`${new Set(yield* Ref.get(sent)).size} texts sent with ${yield* Ref.get(requests)} requests`)
})

if (import.meta.main) run(demo)
