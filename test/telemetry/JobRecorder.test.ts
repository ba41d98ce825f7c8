/**
 * What a worker counts of its jobs, which may come from several servers.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Metric } from "effect"
import { Metrics } from "effect-beanstalkd"
import { JobRecorders } from "../../src/internal/telemetry/jobRecorder.ts"

it.effect("the jobs of a worker are counted for the server that each comes from", () =>
  Effect.gen(function*() {
    const recorders = new JobRecorders("work", yield* Effect.context())
    for (const server of ["a:1", "a:1", "b:2", "a:1"]) {
      const recorder = recorders.of(server)
      recorder.count("reserved")
      recorder.started()
    }
    recorders.of("a:1").ended(5, Exit.void)
    recorders.of("a:1").count("succeeded")
    const counted = Effect.fnUntraced(function*(server: string) {
      const at = { server, tube: "work" }
      const count = (outcome: Metrics.JobOutcome) =>
        Effect.map(Metric.value(Metric.withAttributes(Metrics.jobs, { ...at, outcome })), ({ count }) => count)
      const running = yield* Metric.value(Metric.withAttributes(Metrics.jobsInFlight, at))
      const durations = yield* Metric.value(Metric.withAttributes(Metrics.jobDuration, at))
      return {
        reserved: yield* count("reserved"),
        succeeded: yield* count("succeeded"),
        running: running.value,
        seconds: durations.sum
      }
    })
    assert.deepStrictEqual(yield* counted("a:1"), { reserved: 3, succeeded: 1, running: 2, seconds: 0.005 })
    assert.deepStrictEqual(yield* counted("b:2"), { reserved: 1, succeeded: 0, running: 1, seconds: 0 })
    assert.deepStrictEqual(yield* counted("c:3"), { reserved: 0, succeeded: 0, running: 0, seconds: 0 })
  }).pipe(Effect.provideServiceEffect(Metric.MetricRegistry, Effect.sync(() => new Map()))))
