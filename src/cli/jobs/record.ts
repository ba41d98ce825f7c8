/**
 * A job as a line of NDJSON, which `export` writes and `import` reads.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"
import { isUtf8 } from "node:buffer"
import { JobState } from "../../Stats.ts"
import {
  DEFAULT_PRIORITY,
  DEFAULT_TTR_SECONDS,
  MAX_UINT32,
  Priority,
  TubeName
} from "../../internal/protocol/scalars.ts"
import type { Copy } from "./copy.ts"
import type { ListedJob } from "./listing.ts"
import { exported, joined, wrongIn } from "./body.ts"
import { fromBase64 } from "../terminal/stdin.ts"

const secondsFrom = (minimum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum: MAX_UINT32 }))

/** There is a `body`, or an `envelope` and its `payload`. Every other key may be missing and defaults as with `put`. `delay` is the rest of the delay, in seconds. */
const JobRecord = Schema.Struct({
  tube: TubeName.pipe(Schema.withDecodingDefaultKey(Effect.succeed("default"))),
  state: JobState.pipe(Schema.withDecodingDefaultKey(Effect.succeed("ready" as const))),
  priority: Priority.pipe(Schema.withDecodingDefaultKey(Effect.succeed(DEFAULT_PRIORITY))),
  delay: secondsFrom(0).pipe(Schema.withDecodingDefaultKey(Effect.succeed(0))),
  ttr: secondsFrom(1).pipe(Schema.withDecodingDefaultKey(Effect.succeed(DEFAULT_TTR_SECONDS))),
  body: Schema.optionalKey(Schema.String),
  envelope: Schema.optionalKey(Schema.Record(Schema.String, Schema.Unknown)),
  payload: Schema.optionalKey(Schema.String),
  encoding: Schema.optionalKey(Schema.Literal("base64"))
})

const decode = SchemaParser.decodeUnknownResult(JobRecord)
const explain = SchemaIssue.makeFormatterDefault()

const parseJson = (text: string): Result.Result<unknown, string> =>
  Result.try({ try: () => JSON.parse(text) as unknown, catch: () => "not JSON" })

/** The job that a line describes, or an explanation of what is wrong with the line. A blank line gives undefined. */
export const parse = (line: Uint8Array): Result.Result<Copy, string> | undefined => {
  if (!isUtf8(line)) return Result.fail("not UTF-8")
  const text = Buffer.from(line.buffer, line.byteOffset, line.length).toString()
  if (text.trim() === "") return undefined
  const json = parseJson(text)
  if (Result.isFailure(json)) return Result.fail(json.failure)
  const record = decode(json.success)
  if (Result.isFailure(record)) return Result.fail(`not an exported job: ${explain(record.failure)}`)
  const { body: whole, encoding, envelope, payload, ...job } = record.success
  const isEnclosed = envelope !== undefined && payload !== undefined
  const written = isEnclosed ? payload : whole
  if (written === undefined || (isEnclosed && whole !== undefined)) {
    return Result.fail("not an exported job: it must have a body, or an envelope and its payload")
  }
  const wrong = isEnclosed ? wrongIn(envelope) : undefined
  if (wrong !== undefined) return Result.fail(`not an exported job: its envelope is none: ${wrong}`)
  const bytes = encoding === "base64" ? fromBase64(written) : written
  if (bytes === undefined) return Result.fail("the body is not base64")
  return Result.succeed({ ...job, body: isEnclosed ? joined(envelope, bytes) : bytes })
}

/** The rest of a job's delay. The server rounds it down, and a copy must not become ready before the original would. */
export const delayLeft = ({ state, timeLeft }: ListedJob["stats"]): number => state === "delayed" ? timeLeft + 1 : 0

/** The line for a job, with its LF. `server` is that of the job, if there are several. */
export const format = ({ job, stats }: ListedJob, server?: string): string => {
  const { id, pri: priority, state, ttr, tube } = stats
  const record = { id, tube, state, priority, delay: delayLeft(stats), ttr, ...exported(job) }
  return `${JSON.stringify(server === undefined ? record : { server, ...record })}\n`
}
