/**
 * `reserve`: takes one job, prints it and settles it.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Job } from "../../Job.ts"
import { connect } from "../connect.ts"
import { documented } from "../documented.ts"
import { delayOf, newPriority, timeoutOf } from "../flags.ts"
import { ACTIONS, type Ending } from "../jobs/settling.ts"
import { checkStyle, styleFlags } from "../jobStyle.ts"
import { printJob, undoneIfClosed } from "../terminal/output.ts"
import { watched, watchFlags } from "../watching.ts"

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
    action: Argument.Literals("action", ACTIONS).pipe(
      Argument.withDescription("What to do with the job; by default it goes back as it was"),
      Argument.optional
    ),
    timeout: timeoutOf("How many seconds to wait for a job, 0 for none; by default forever"),
    ...watchFlags,
    priority: newPriority,
    delay: delayOf("With release: how many seconds until the job is ready again"),
    ...styleFlags
  },
  Effect.fnUntraced(function*({ action, base64, delay, priority, raw, ...flags }) {
    yield* checkStyle("reserve", { base64, raw })
    const tubes = yield* watched("reserve", flags)
    const client = yield* connect
    const job = yield* client.reserve(tubes, { timeout: Option.getOrUndefined(flags.timeout) })
    // Print before settling: a job that could not be printed must be released, not deleted.
    yield* undoneIfClosed(printJob(job, { base64, raw }))
    if (Option.isSome(action)) yield* end(job, { action: action.value, priority, delay })
  }, Effect.scoped)
).pipe(documented({
  description: "Reserve a job, print it, and delete, release or bury it",
  examples: {
    "beanstalk reserve delete": "Take the next job of the tube default",
    "beanstalk reserve bury -w emails -t 10": "Bury the next job of the tube emails, if one comes within 10 seconds",
    "beanstalk reserve delete -w images --raw > cat.png": "Write the body to a file, every byte as it was put",
    "beanstalk reserve release -w emails -d 60 -p 5": "Release a job that is ready again, and more urgent, in a minute"
  }
}))
