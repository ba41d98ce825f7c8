/**
 * `put`: one job from the command line or from stdin, or one job per line of stdin.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Client from "../../Client.ts"
import * as Envelope from "../../Envelope.ts"
import type * as Fleet from "../../Fleet.ts"
import type { Pipeline } from "../../internal/connection/pipeline.ts"
import type { JobId } from "../../internal/protocol/scalars.ts"
import type { JobRef } from "../../Job.ts"
import { commands, type Failure } from "../../Protocol.ts"
import { openFleet, several } from "../servers.ts"
import { batch, values } from "../jobs/batch.ts"
import { connect, maxJobSizeOf, openPipeline } from "../connect.ts"
import { documented } from "../documented.ts"
import { Failed, wrongUsage } from "../failures.ts"
import { delayOf, priority, switchedOff, ttr, use } from "../flags.ts"
import { BadLine, type LineOutcome, LineReport } from "../jobs/lineReport.ts"
import { note, result, undoneIfClosed, write } from "../terminal/output.ts"
import * as Progress from "../terminal/progress.ts"
import { beanstalk } from "../root.ts"
import { forEachLines, fromBase64, readAll, sizeOfStdin } from "../terminal/stdin.ts"

interface Flags {
  readonly envelope: boolean
  readonly use: string
  readonly priority: number
  readonly delay: Duration.Duration
  readonly ttr: Duration.Duration
  readonly base64: boolean
}

// The limit for what is read from stdin: base64 makes a body longer and may break it into lines.
const limitOf = (maxJobSize: number) => maxJobSize * 2 + 4096

/** Where jobs are put: the only server, or a fleet. */
interface Target {
  readonly maxJobSize: Effect.Effect<number, Failure<"stats">>
  readonly putAll: (
    bodies: ReadonlyArray<string | Uint8Array>,
    flags: Flags
  ) => Effect.Effect<ReadonlyArray<Exit.Exit<Put, Failure<"put">>>>
}

/** A job that was put. Its id names it, or its reference if there are several servers. */
interface Put {
  readonly name: string
  readonly json: { readonly id: JobId; readonly server?: string }
}

const ofId = (id: JobId): Put => ({ name: String(id), json: { id } })

const ofRef = (ref: JobRef): Put => ({ name: String(ref), json: { id: ref.id, server: ref.server } })

const toFleet = (fleet: Fleet.Service): Target => ({
  maxJobSize: Effect.map(fleet.stats, ({ maxJobSize }) => maxJobSize),
  putAll: (bodies, flags) =>
    Effect.forEach(
      bodies,
      (body) => Effect.exit(Effect.map(fleet.put(flags.use, body, flags), ofRef)),
      { concurrency: "unbounded" }
    )
})

const toOne = (client: Client.Service): Target => ({
  maxJobSize: maxJobSizeOf(client),
  putAll: (bodies, flags) =>
    Effect.forEach(bodies, (body) => Effect.exit(Effect.map(client.put(flags.use, body, flags), ({ id }) => ofId(id))))
})

const toPipeline = (pipeline: Pipeline): Target => ({
  maxJobSize: maxJobSizeOf(pipeline),
  putAll: (bodies, { delay, priority, ttr, use: tube }) =>
    batch(pipeline, commands.put, bodies.map((body) => [body, { delay, priority, ttr }, tube] as const)).pipe(
      Effect.map((answers) => answers.map((answer) => Exit.map(answer, ofId)))
    )
})

const target = Effect.fnUntraced(function*<E, R>(one: Effect.Effect<Target, E, R>) {
  return (yield* several) === undefined ? yield* one : toFleet(yield* openFleet)
})

// The time at which a delayed job is due is that of the server, as far as this clock tells.
const enclosed = Effect.fnUntraced(function*(bodies: ReadonlyArray<string | Uint8Array>, { delay, envelope }: Flags) {
  if (!envelope) return bodies
  const seconds = Math.ceil(Duration.toSeconds(delay))
  const due = seconds === 0 ? undefined : (yield* Clock.currentTimeMillis) + seconds * 1000
  return yield* Effect.forEach(bodies, (body) => Envelope.encode(body, { due }))
})

const putOne = Effect.fnUntraced(function*(argument: string, flags: Flags) {
  const { maxJobSize, putAll } = yield* target(Effect.map(connect, toOne))
  const raw = argument === "-" ? yield* readAll(limitOf(yield* maxJobSize)) : argument
  const body = flags.base64 ? fromBase64(raw.toString()) : raw
  if (body === undefined) return yield* new Failed({ message: "BAD_INPUT: the body is not base64" })
  const [put] = yield* values(yield* putAll(yield* enclosed([body], flags), flags))
  yield* result(put!.name, put!.json)
}, Effect.scoped)

const putLines = Effect.fnUntraced(function*(flags: Flags) {
  const { json } = yield* beanstalk
  const { maxJobSize, putAll } = yield* target(Effect.map(openPipeline, toPipeline))
  const limit = limitOf(yield* maxJobSize)
  const size = yield* sizeOfStdin
  const progress = yield* Progress.make(`put into ${flags.use}`)
  const report = new LineReport(`put into ${flags.use}`)

  // Uninterruptible, so that the ids of all jobs that were put are printed.
  const putSome = Effect.fnUntraced(function*(lines: ReadonlyArray<Uint8Array>, first: number) {
    const bodies = lines.map((line) => flags.base64 ? fromBase64(line.toString()) : line)
    const answers = (yield* putAll(yield* enclosed(bodies.filter((body) => body !== undefined), flags), flags)).values()
    const outcomes = bodies.map((body, i): LineOutcome<Put, BadLine | Failure<"put">> => ({
      line: first + i,
      answer: body === undefined ? Exit.fail(new BadLine({ message: "BAD_INPUT: not base64" })) : answers.next().value!
    }))
    const puts = outcomes.flatMap(({ answer }) => Exit.isSuccess(answer) ? [answer.value] : [])
    progress.hide()
    const written = yield* Effect.exit(undoneIfClosed(write(
      puts.map((put) => `${json ? JSON.stringify(put.json) : put.name}\n`).join("")
    )))
    report.next = first + lines.length
    yield* report.account(outcomes)
    yield* written
  }, Effect.uninterruptible)

  yield* forEachLines(
    limit,
    ({ bytes, first, lines }) =>
      Effect.tap(putSome(lines, first), () => Effect.sync(() => progress.at(report.done, size && bytes / size)))
  ).pipe(
    Effect.onInterrupt(() => note(`interrupted: ${report.summary}`)),
    Effect.tapError(() => note(`stopped: ${report.summary}`))
  )
  if (report.skipped === 0) return
  const lines = report.skipped === 1 ? "1 line was" : `${report.skipped} lines were`
  return yield* new Failed({ message: `${lines} not put; ${report.total}` })
}, Effect.scoped)

export const put = Command.make(
  "put",
  {
    body: Argument.String("body").pipe(
      Argument.withDescription("Body of the job; - reads all of stdin; after -- it may begin with a dash"),
      Argument.optional
    ),
    use,
    priority,
    delay: delayOf("How many seconds until the job becomes ready"),
    ttr,
    lines: switchedOff("lines", "Put one job per line of stdin, and print the ids in the same order"),
    base64: switchedOff("base64", "Decode the body, or each line, from base64"),
    envelope: switchedOff("envelope", "Put the body, or each line, into an envelope with an id and the time of the put")
  },
  Effect.fnUntraced(function*({ body, lines, ...flags }) {
    if (lines) {
      if (Option.isSome(body) && body.value !== "-") {
        return yield* wrongUsage("either a body or --lines, not both", "put")
      }
      return yield* putLines(flags)
    }
    if (Option.isNone(body)) return yield* wrongUsage("a body is missing: give it, or - for stdin, or --lines", "put")
    yield* putOne(body.value, flags)
  })
).pipe(documented({
  description:
    "Put a job into a tube, and print its id. With --lines, a line that is too long or not base64 is told and passed over, " +
    "exit code 1 at the end; what stops all lines tells the line to resume from",
  short: "Put a job into a tube, and print its id",
  examples: {
    "beanstalk put \"A job to work on\"": "Put a job into the tube default",
    "beanstalk put -u emails -p 10 -d 60 -t 300 hello": "An urgent job, ready in a minute, with 5 minutes to run",
    "beanstalk put -u images - < cat.png": "Put all bytes of stdin as one job",
    "seq 100000 | beanstalk put --lines -u numbers": "Put one job per line"
  }
}))
