/**
 * `tail`: takes the jobs of tubes as they come, prints them and settles them, through restarts of the server.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { openPipeline } from "../connect.ts"
import { documented } from "../documented.ts"
import { describe, isUnreachable } from "../failures.ts"
import { base64Bodies, countFlag, delayOf, newPriority, timeoutOf } from "../flags.ts"
import { payloadOf, shown } from "../jobs/body.ts"
import { ACTIONS } from "../jobs/settling.ts"
import { Tail, type Taken } from "../jobs/tailing.ts"
import { beanstalk } from "../root.ts"
import { countOfJobs, note, undoneIfClosed, write } from "../terminal/output.ts"
import { oneLine } from "../terminal/table.ts"
import { watched, watchFlags } from "../watching.ts"

/** The time between two attempts to reach a lost server. */
const RETRY_INTERVAL = Duration.millis(200)

// Without a server the first dial fails, as that of any other command. From then on the server is waited for.
const throughRestarts = Effect.fnUntraced(function*(tail: Tail) {
  let isLost = false
  let hasBegun = false
  const session = Effect.gen(function*() {
    const pipeline = yield* openPipeline
    if (isLost) yield* note(`RECONNECTED: ${pipeline.server} is back`)
    isLost = false
    hasBegun = true
    yield* tail.on(pipeline)
    return true
  }).pipe(
    Effect.scoped,
    Effect.catchIf((error) => hasBegun && isUnreachable(error), (error) =>
      Effect.gen(function*() {
        if (!isLost) yield* note(`RECONNECTING: ${describe(error)}`)
        isLost = true
        if (tail.secondsLeft <= 0) return true
        yield* Effect.sleep(RETRY_INTERVAL)
        return false
      }))
  )
  while (!(yield* session)) { /* again */ }
})

export const tail = Command.make(
  "tail",
  {
    action: Argument.Literals("action", ACTIONS).pipe(
      Argument.withDescription("What to do with each job after printing it")
    ),
    timeout: timeoutOf("Stop when no job has come for this many seconds; by default never"),
    count: countFlag("Stop after this many jobs"),
    ...watchFlags,
    priority: newPriority,
    delay: delayOf("With release: how many seconds until the job is ready, and printed, again", 1),
    base64: base64Bodies
  },
  Effect.fnUntraced(function*({ action, base64, delay, priority, ...flags }) {
    const { json } = yield* beanstalk
    const lineOf = ({ id, job, tube }: Taken) => {
      const fields = shown(job, base64)
      if (json) return `${JSON.stringify({ id, tube, ...fields })}\n`
      const columns = [id, tube, oneLine(payloadOf(fields))]
      return `${("envelope" in fields ? [...columns, JSON.stringify(fields.envelope)] : columns).join("\t")}\n`
    }
    const tail = new Tail({
      tubes: yield* watched("tail", flags),
      ending: { action, priority, delay },
      count: Option.getOrElse(flags.count, () => Infinity),
      timeoutSeconds: Option.match(flags.timeout, { onNone: () => Infinity, onSome: Duration.toSeconds }),
      print: (jobs) => undoneIfClosed(write(jobs.map(lineOf).join("")))
    }, yield* Clock.Clock)
    yield* throughRestarts(tail).pipe(
      Effect.onInterrupt(() => note(`interrupted: ${countOfJobs(tail.shown)} shown, each ended with ${action}`))
    )
  })
).pipe(documented({
  description:
    "Print jobs as they come, and delete, release or bury each of them after that. Jobs that are ready come many at a time. " +
    "tail goes on when the server is restarted. The head of an envelope comes behind the payload, in a column of its own",
  short: "Print jobs as they come, and delete, release or bury each of them",
  examples: {
    "beanstalk tail delete -w log": "Print and delete every job of the tube log",
    "beanstalk tail bury -w emails -n 10 --json": "Bury the next ten jobs, and print them as JSON",
    "beanstalk tail release -d 60 -t 5": "Go through the tube once, until no job comes for 5 seconds"
  }
}))
