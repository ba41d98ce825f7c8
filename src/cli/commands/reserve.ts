/**
 * `reserve`: takes one job, prints it and settles it; `tail`: does so with every job that comes.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Job } from "../../Job.ts"
import { connect } from "../connect.ts"
import { documented } from "../documented.ts"
import { wrongUsage } from "../failures.ts"
import { base64Bodies, BoundedInt, delayOf, newPriority, seconds, switchedOff, tube } from "../flags.ts"
import { bodyFields, countOfJobs, note, printJob, undoneIfClosed, write } from "../terminal/output.ts"
import { beanstalk } from "../root.ts"
import { oneLine } from "../terminal/table.ts"

const ACTIONS = ["delete", "release", "bury"] as const

const watch = tube(Flag.String("watch")).pipe(
  Flag.withAlias("w"),
  Flag.withDescription("Tube to watch besides default; may be repeated"),
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
      Argument.withDescription("What to do with the job; by default it goes back as it was"),
      Argument.optional
    ),
    timeout: timeoutOf("How many seconds to wait for a job, 0 for none; by default forever"),
    watch,
    ignoreDefault,
    priority: newPriority,
    delay: delayOf("With release: how many seconds until the job is ready again"),
    base64: base64Bodies
  },
  Effect.fnUntraced(function*({ action, base64, delay, priority, ...flags }) {
    const tubes = yield* watched("reserve", flags)
    const client = yield* connect
    const job = yield* client.reserve(tubes, { timeout: Option.getOrUndefined(flags.timeout) })
    // Print before settling: a job that could not be printed must be released, not deleted.
    yield* undoneIfClosed(printJob(job, base64))
    if (Option.isSome(action)) yield* end(job, { action: action.value, priority, delay })
  }, Effect.scoped)
).pipe(documented({
  description: "Reserve a job, print it, and delete, release or bury it",
  examples: {
    "beanstalk reserve delete": "Take the next job of the tube default",
    "beanstalk reserve bury -i -w emails -t 10": "Bury the next job of the tube emails, if one comes within 10 seconds",
    "beanstalk reserve release -w emails -d 60 -p 5": "Release a job that is ready again, and more urgent, in a minute"
  }
}))

export const tail = Command.make(
  "tail",
  {
    action: action.pipe(Argument.withDescription("What to do with each job after printing it")),
    timeout: timeoutOf("Stop when no job has come for this many seconds; by default never"),
    count: BoundedInt(Flag.String("count"), 1, Number.MAX_SAFE_INTEGER).pipe(
      Flag.withAlias("n"),
      Flag.withMetavar("N"),
      Flag.withDescription("Stop after this many jobs"),
      Flag.optional
    ),
    watch,
    ignoreDefault,
    priority: newPriority,
    delay: delayOf("With release: how many seconds until the job is ready, and printed, again", 1),
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
).pipe(documented({
  description: "Print jobs as they come, and delete, release or bury each of them at once",
  examples: {
    "beanstalk tail delete -i -w log": "Print and delete every job of the tube log",
    "beanstalk tail bury -w emails -n 10 --json": "Bury the next ten jobs, and print them as JSON",
    "beanstalk tail release -d 60 -t 5": "Go through the tube once, until no job comes for 5 seconds"
  }
}))
