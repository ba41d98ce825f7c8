/**
 * `reserve`: takes a job and ends with it; `tail`: the same for all jobs, as they come.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Job } from "../../Job.ts"
import { connect } from "../connect.ts"
import { wrongUsage } from "../failures.ts"
import { base64Bodies, BoundedInt, delayOf, newPriority, seconds, switchedOff, tube } from "../flags.ts"
import { bodyFields, countOfJobs, note, printJob, undoneIfClosed, write } from "../terminal/output.ts"
import { beanstalk } from "../root.ts"
import { oneLine } from "../terminal/table.ts"

const ACTIONS = ["delete", "release", "bury"] as const

const watch = tube(Flag.String("watch")).pipe(
  Flag.withAlias("w"),
  Flag.withDescription("Tube to watch besides default; may be given several times"),
  Flag.atLeast(0)
)

const ignoreDefault = switchedOff("ignore-default", "Do not watch the tube default").pipe(Flag.withAlias("i"))

const timeoutOf = (description: string) =>
  seconds(Flag.String("timeout")).pipe(
    Flag.withAlias("t"),
    Flag.withMetavar("SECONDS"),
    Flag.withDescription(description),
    Flag.optional
  )

const action = Argument.Literals("action", ACTIONS)

const watched = Effect.fnUntraced(function*(
  command: string,
  flags: { readonly watch: ReadonlyArray<string>; readonly ignoreDefault: boolean }
) {
  if (flags.ignoreDefault && flags.watch.length === 0) {
    return yield* wrongUsage("--ignore-default leaves no tube: give one with --watch", command)
  }
  return [...new Set(flags.ignoreDefault ? flags.watch : ["default", ...flags.watch])]
})

interface Ending {
  readonly action: typeof ACTIONS[number]
  readonly priority: Option.Option<number>
  readonly delay: Duration.Duration
}

const end = (job: Job, { action, delay, ...rest }: Ending) => {
  const priority = Option.getOrUndefined(rest.priority)
  switch (action) {
    case "delete":
      return job.delete
    case "release":
      return job.release({ priority, delay })
    case "bury":
      return job.bury({ priority })
  }
}

export const reserve = Command.make(
  "reserve",
  {
    action: action.pipe(
      Argument.withDescription("What to do with the job; without it the job goes back as it was"),
      Argument.optional
    ),
    timeout: timeoutOf("Seconds to wait for a job, 0 to only look; by default for ever"),
    watch,
    ignoreDefault,
    priority: newPriority,
    delay: delayOf("With release: seconds before the job is ready again"),
    base64: base64Bodies
  },
  Effect.fnUntraced(function*({ action, base64, delay, priority, ...flags }) {
    const tubes = yield* watched("reserve", flags)
    const client = yield* connect
    const job = yield* client.reserve(tubes, { timeout: Option.getOrUndefined(flags.timeout) })
    // Printed first: a job that could not be shown to anybody is released, not deleted.
    yield* undoneIfClosed(printJob(job, base64))
    if (Option.isSome(action)) yield* end(job, { action: action.value, priority, delay })
  }, Effect.scoped)
).pipe(
  Command.withDescription("Reserve a job, print it, and delete, release or bury it"),
  Command.withExamples([
    { command: "beanstalk reserve delete", description: "Take the next job of the tube default" },
    { command: "beanstalk reserve bury -i -w emails -t 10", description: "Of emails only, waiting at most 10 seconds" },
    { command: "beanstalk reserve release -w emails -d 60 -p 5", description: "Back in a minute, more urgent" }
  ])
)

export const tail = Command.make(
  "tail",
  {
    action: action.pipe(Argument.withDescription("What to do with each job once it is shown")),
    timeout: timeoutOf("End when no job has come for so many seconds; by default never"),
    count: BoundedInt(Flag.String("count"), 1, Number.MAX_SAFE_INTEGER).pipe(
      Flag.withAlias("n"),
      Flag.withMetavar("N"),
      Flag.withDescription("End after so many jobs"),
      Flag.optional
    ),
    watch,
    ignoreDefault,
    priority: newPriority,
    delay: delayOf("With release: seconds before the job is ready, and shown, again", 1),
    base64: base64Bodies
  },
  Effect.fnUntraced(function*({ action, base64, delay, priority, ...flags }) {
    const { json } = yield* beanstalk
    const tubes = yield* watched("tail", flags)
    const client = yield* connect
    const timeout = Option.getOrUndefined(flags.timeout)
    const count = Option.getOrElse(flags.count, () => Infinity)
    let shown = 0
    const one = Effect.gen(function*() {
      const job = yield* client.reserve(tubes, { timeout })
      const name = yield* job.tube
      const fields = bodyFields(job, base64)
      yield* undoneIfClosed(write(
        json
          ? `${JSON.stringify({ id: job.id, tube: name, ...fields })}\n`
          : `${job.id}\t${name}\t${oneLine(fields.body)}\n`
      ))
      yield* Effect.uninterruptible(Effect.tap(end(job, { action, priority, delay }), () => Effect.sync(() => shown++)))
    }).pipe(Effect.scoped)
    yield* Effect.whileLoop({ while: () => shown < count, body: () => one, step: () => {} }).pipe(
      Effect.catchTag("TimedOut", () => Effect.void),
      Effect.onInterrupt(() => note(`interrupted: ${countOfJobs(shown)} shown, each ended with ${action}`))
    )
  }, Effect.scoped)
).pipe(
  Command.withDescription("Show jobs as they come, each ended at once with delete, release or bury"),
  Command.withExamples([
    { command: "beanstalk tail delete -i -w log", description: "Print and delete all that comes into log" },
    { command: "beanstalk tail bury -w emails -n 10 --json", description: "Put the next ten aside, as JSON" },
    {
      command: "beanstalk tail release -d 60 -t 5",
      description: "Once through the tube, until nothing comes for 5 seconds"
    }
  ])
)
