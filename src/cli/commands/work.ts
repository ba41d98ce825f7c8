/**
 * `work`: runs a command for each job of a tube.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Client from "../../Client.ts"
import type { Head } from "../../Envelope.ts"
import type { TypedJob } from "../../Tube.ts"
import { check, type Ended, hurry, run } from "../children.ts"
import { connect } from "../connect.ts"
import { documented } from "../documented.ts"
import { BoundedInt, seconds, tube } from "../flags.ts"
import { endsWellOnSigterm, givesBackOnSecondSignal } from "../signals.ts"
import { logToStderr } from "../terminal/logger.ts"
import { countOfJobs, note } from "../terminal/output.ts"

/** The command did not end with exit code 0. */
class CommandFailed extends Schema.TaggedError<CommandFailed>("effect-beanstalkd/cli/CommandFailed")("CommandFailed", {
  message: Schema.String
}) {}

/** What a command says that has failed for now, and may succeed later. */
const EX_TEMPFAIL = 75

const LONGEST_DELAY = "5 minutes"

const howItEnded = ({ code, signal }: Ended): string => {
  if (signal !== null) return `ended by ${signal}`
  return `exited with code ${code}${code === EX_TEMPFAIL ? " (try again later)" : ""}`
}

const variables = Effect.fnUntraced(function*(name: string, job: TypedJob<Uint8Array>) {
  // A server that does not tell is no reason not to run the command.
  const attempt = yield* Effect.option(job.attempt)
  return {
    BEANSTALK_JOB_ID: String(job.id),
    BEANSTALK_TUBE: name,
    BEANSTALK_SERVER: job.server,
    BEANSTALK_ATTEMPT: Option.match(attempt, { onNone: () => "", onSome: String }),
    ...variablesOf(job.envelope)
  }
})

// What is longer may keep a command from being started, and what has a NUL does.
const MAX_VARIABLE = 32_768

const variable = (value: string | number | undefined): string => {
  const text = String(value ?? "")
  return text.length > MAX_VARIABLE || text.includes("\0") ? "" : text
}

// All of them are there for each job: those of a command in whose environment this one runs are not.
const variablesOf = (head: Head | undefined) => ({
  BEANSTALK_MESSAGE_ID: variable(head?.id),
  BEANSTALK_CORRELATION_ID: variable(head?.correlationId),
  BEANSTALK_REPLY_TO: variable(head?.replyTo),
  BEANSTALK_CONTENT_TYPE: variable(head?.contentType),
  BEANSTALK_ENVELOPE: variable(JSON.stringify(head)),
  TRACEPARENT: variable(head?.traceparent),
  TRACESTATE: variable(head?.tracestate)
})

const backoff = (first: Duration.Duration) =>
  Schedule.min([Schedule.exponential(first), Schedule.spaced(LONGEST_DELAY)])

const config = {
  command: Argument.String("command").pipe(Argument.withDescription("The command, after --")),
  args: Argument.String("args").pipe(Argument.withDescription("Its arguments"), Argument.atLeast(0)),
  watch: tube(Flag.String("watch")).pipe(
    Flag.withAlias("w"),
    Flag.withDescription("The tube to work on, default \"default\""),
    Flag.withDefault("default")
  ),
  concurrency: BoundedInt(Flag.String("concurrency"), 1, 10_000).pipe(
    Flag.withAlias("c"),
    Flag.withMetavar("N"),
    Flag.withDescription("How many commands run at a time, default 1"),
    Flag.withDefault(1)
  ),
  maxAttempts: BoundedInt(Flag.String("max-attempts"), 1, 1_000_000).pipe(
    Flag.withMetavar("N"),
    Flag.withDescription("Bury a job that has failed this often, default 10"),
    Flag.withDefault(10)
  ),
  retryDelay: seconds(Flag.String("retry-delay")).pipe(
    Flag.withMetavar("SECONDS"),
    Flag.withDescription(
      "How long a job waits after its first failed attempt; doubled after each further one, up to 5 minutes; default 1"
    ),
    Flag.optional
  ),
  shutdownTimeout: seconds(Flag.String("shutdown-timeout")).pipe(
    Flag.withMetavar("SECONDS"),
    Flag.withDescription("How long running commands may go on after Ctrl-C or SIGTERM, default 30"),
    Flag.withDefault(Duration.seconds(30))
  )
}

export const work = Command.make(
  "work",
  config,
  Effect.fnUntraced(function*({ args, command, concurrency, maxAttempts, retryDelay, ...flags }) {
    yield* check(command, "; -w names the tube, and the command comes after --")
    // A command that fails at once says why in one line.
    let isConnected = false
    const logged = logToStderr(() => isConnected)
    const client = yield* logged(connect)
    isConnected = true
    // Other commands start faster without them.
    const [Tube, Worker, { ANY_PAYLOAD }] = yield* Effect.promise(() =>
      Promise.all([import("../../Tube.ts"), import("../../Worker.ts"), import("../../internal/envelope/options.ts")])
    )
    const counts = { done: 0, failed: 0, buried: 0 }
    const handle = Effect.fnUntraced(function*(body: Uint8Array, job: TypedJob<Uint8Array>) {
      const ended = yield* run({ command, args, stdin: body, env: yield* variables(flags.watch, job) })
      if (ended.code !== 0) return yield* new CommandFailed({ message: `${command} ${howItEnded(ended)}` })
      counts.done++
    })
    yield* endsWellOnSigterm
    // The worker hears of it too, and ends what runs.
    yield* givesBackOnSecondSignal(hurry)
    const summary = Effect.suspend(() =>
      note(`${countOfJobs(counts.done)} done, ${counts.failed} attempts failed, ${countOfJobs(counts.buried)} buried`)
    )
    return yield* Worker.run(Tube.make(flags.watch, { codec: "bytes", envelope: ANY_PAYLOAD }), handle, {
      concurrency,
      maxAttempts,
      shutdownTimeout: flags.shutdownTimeout,
      retrySchedule: Option.getOrUndefined(Option.map(retryDelay, backoff)),
      onFailure: () => Effect.sync(() => counts.failed++),
      onGiveUp: () => Effect.sync(() => counts.buried++)
    }).pipe(
      Effect.provideService(Client.Beanstalkd, client),
      logged,
      Effect.onExit(() => summary)
    )
  }, Effect.scoped)
).pipe(documented({
  description:
    "Run a command for each job of a tube, with the body on its stdin, and BEANSTALK_JOB_ID, BEANSTALK_TUBE, " +
    "BEANSTALK_SERVER and BEANSTALK_ATTEMPT in its environment. Of a job with an envelope, or a CloudEvent, its payload is " +
    "on stdin, and BEANSTALK_MESSAGE_ID, BEANSTALK_CORRELATION_ID, BEANSTALK_REPLY_TO, BEANSTALK_CONTENT_TYPE, " +
    "BEANSTALK_ENVELOPE (all of its head, as JSON), TRACEPARENT and TRACESTATE are set; otherwise they are empty. A job that " +
    "has expired is deleted, and the attempts that a job asks for go before --max-attempts. Exit code 0 deletes the job. With 75 (EX_TEMPFAIL) or any " +
    "other it is tried again later, up to --max-attempts, and then buried. The lease of a job is kept as long as its command " +
    "runs; if it is lost, the command is ended. Ctrl-C or SIGTERM take no more jobs, wait for the commands that run, then " +
    "end them with SIGTERM, and release their jobs; a second Ctrl-C ends at once. A job can run twice, so the command must " +
    "be idempotent",
  short: "Run a command for each job",
  examples: {
    "beanstalk work -w emails -- ./send-email": "Run ./send-email for each job of the tube emails",
    "beanstalk work -w images -c 4 --max-attempts 3 -- sh -c 'convert - \"$BEANSTALK_JOB_ID.png\"'":
      "Four at a time, each at most three times"
  }
}))
