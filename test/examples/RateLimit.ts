/**
 * The example about rate limits keeps the limit, uses no attempt for it, and pauses the tube when the API says so.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Layer, Stream } from "effect"
import { HttpClient, HttpClientRequest, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { LIMIT, Limiter, retryAfterOf, Texts, worker } from "../../examples/rate-limit.ts"
import { settle } from "../fleet/Fleets.ts"
import { onMemory } from "../support/Fixture.ts"

/** An API that notes when it was called, and says 429 where `refuse` has a Retry-After for the n-th call. */
const api = (refuse: Readonly<Record<number, string>> = {}) => {
  const calls: Array<{ readonly at: number; readonly url: string; readonly status: number }> = []
  const client = HttpClient.make((request) =>
    Effect.map(Clock.currentTimeMillis, (at) => {
      const retryAfter = refuse[calls.length + 1]
      const status = retryAfter === undefined ? 200 : 429
      calls.push({ at, url: new URL(request.url).pathname, status })
      const headers = retryAfter === undefined ? {} : { "retry-after": retryAfter }
      return HttpClientResponse.fromWeb(request, new Response(null, { status, headers }))
    })
  ).pipe(HttpClient.mapRequest(HttpClientRequest.prependUrl("http://api.test")))
  const layer = Layer.merge(Layer.succeed(HttpClient.HttpClient, client), Limiter)
  const sent = () => calls.filter(({ status }) => status === 200).map(({ url }) => url)
  return { calls, layer, sent }
}

const pass = (seconds: number) =>
  Effect.replicateEffect(Effect.andThen(TestClock.adjust("250 millis"), settle), seconds * 4, { discard: true })

const put = (count: number) => Texts.putAll(Stream.map(Stream.range(1, count), (n) => ({ to: `${n}` })))

const gone = Effect.map(
  Texts.stats,
  ({ currentJobsBuried, currentJobsDelayed, currentJobsReady, currentJobsReserved }) =>
    currentJobsBuried + currentJobsDelayed + currentJobsReady + currentJobsReserved === 0
)

describe("the example about rate limits", () => {
  it.effect("sends no more than the limit in a window, all of it, and each once", () =>
    onMemory(Effect.fnUntraced(function*() {
      const { calls, layer, sent } = api()
      yield* put(11)
      yield* Effect.forkScoped(Effect.provide(worker, layer))
      yield* pass(0.25)
      assert.strictEqual(calls.length, LIMIT.limit)
      yield* pass(5)
      assert.deepStrictEqual(sent().toSorted(), Array.from({ length: 11 }, (_, i) => `/send/${i + 1}`).toSorted())
      for (const { at } of calls) {
        const window = calls.filter((other) => other.at >= at && other.at < at + Duration.toMillis(LIMIT.window))
        assert.isAtMost(window.length, LIMIT.limit)
      }
      assert.isTrue(yield* gone)
    })))

  it.effect("uses no attempt of a job that waits for its turn", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      yield* put(60)
      yield* Effect.forkScoped(Effect.provide(worker, api().layer))
      // Each has been tried more often by then than `maxAttempts` allows.
      yield* pass(13)
      const { id } = yield* Texts.peekDelayed
      assert.deepInclude(yield* beanstalkd.statsJob(id), { reserves: 0, releases: 0 })
      yield* pass(5)
      assert.isTrue(yield* gone)
    })))

  it.effect("pauses the tube for as long as a 429 says, and loses nothing", () =>
    onMemory(Effect.fnUntraced(function*(beanstalkd) {
      const { calls, layer, sent } = api({ 1: "30" })
      yield* put(1)
      yield* Effect.forkScoped(Effect.provide(worker, layer))
      yield* pass(1)
      assert.deepInclude(yield* Texts.stats, { pause: 30, currentJobsDelayed: 1 })
      yield* put(3)
      yield* pass(25)
      // No worker at all has a job of it meanwhile.
      assert.strictEqual((yield* Effect.flip(beanstalkd.reserve("texts", { timeout: 0 })))._tag, "TimedOut")
      assert.strictEqual(calls.length, 1)
      yield* pass(10)
      assert.strictEqual(sent().length, 4)
      assert.isTrue(yield* gone)
    })))

  const now = Date.UTC(2026, 0, 1)
  it.each<readonly [header: string | undefined, seconds: number]>([
    ["120", 120],
    ["Thu, 01 Jan 2026 00:01:00 GMT", 60],
    // What makes no sense is no reason to hammer.
    [undefined, 30],
    ["", 30],
    ["soon", 30],
    // A pause of 0 would end one.
    ["0", 1],
    ["Wed, 31 Dec 2025 00:00:00 GMT", 1],
    ["99999999999999", 3600]
  ])("reads Retry-After: %s as %d seconds", (header, seconds) => {
    assert.strictEqual(Duration.toSeconds(retryAfterOf(header, now)), seconds)
  })
})
