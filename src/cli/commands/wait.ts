/**
 * `wait`: returns when the work of a tube is done.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Service } from "../../Client.ts"
import { connect } from "../connect.ts"
import { documented } from "../documented.ts"
import { NothingThere, wrongUsage } from "../failures.ts"
import { seconds, switchedOff, timeoutOf, tubeArgument } from "../flags.ts"
import { ifThere } from "../jobs/batch.ts"
import { countOfJobs, note, result } from "../terminal/output.ts"

// A tube vanishes with its last job.
const jobsOf = Effect.fnUntraced(function*(client: Service, tube: string) {
  const stats = yield* client.run(ifThere.statsTube, tube)
  return {
    left: stats === undefined ? 0 : stats.currentJobsReady + stats.currentJobsReserved + stats.currentJobsDelayed,
    buried: stats?.currentJobsBuried ?? 0
  }
})

export const wait = Command.make(
  "wait",
  {
    tube: tubeArgument("tube", "Name of the tube"),
    empty: switchedOff("empty", "Until no job of the tube is ready, reserved or delayed"),
    timeout: timeoutOf("Give up after this many seconds, with exit code 3; by default never"),
    interval: seconds(Flag.String("interval"), { min: 0.05 }).pipe(
      Flag.withMetavar("SECONDS"),
      Flag.withDescription("Time between two looks, default 0.5"),
      Flag.withDefault(Duration.seconds(0.5))
    )
  },
  Effect.fnUntraced(function*({ empty, interval, timeout, tube }) {
    if (!empty) return yield* wrongUsage("say what to wait for: --empty", "wait")
    const client = yield* connect
    const patience = Option.match(timeout, { onNone: () => Infinity, onSome: Duration.toMillis })
    const began = yield* Clock.currentTimeMillis
    for (;;) {
      const { buried, left } = yield* jobsOf(client, tube)
      if (left === 0) {
        // Nobody works on them, so nobody is waited for.
        if (buried > 0) yield* note(`${countOfJobs(buried)} of the tube ${tube} ${buried === 1 ? "is" : "are"} buried`)
        return yield* result("", { tube, buried })
      }
      const waited = (yield* Clock.currentTimeMillis) - began
      if (waited >= patience) {
        return yield* new NothingThere({
          message: `TIMED_OUT: ${countOfJobs(left)} of the tube ${tube} left after ${patience / 1000} s`
        })
      }
      yield* Effect.sleep(Math.min(Duration.toMillis(interval), patience - waited))
    }
  }, Effect.scoped)
).pipe(documented({
  description:
    "Wait until a tube is empty: no job is ready, reserved or delayed. Buried jobs are told, and not waited for. Exit code 3 " +
    "after --timeout",
  short: "Wait until a tube is empty",
  examples: {
    "beanstalk wait emails --empty": "Return when the work is done",
    "beanstalk wait emails --empty -t 600 || echo \"still at it\"": "Wait for ten minutes at most"
  }
}))
