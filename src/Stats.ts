/**
 * The statistics that the server reports on itself, on a tube and on a job.
 *
 * The server calls their format YAML, but a YAML parser misreads it: a tube named `123` or `true`, an id that is all
 * digits, an `os` that begins with `#` are all bare text in some version. So the text is split into lines, one pair of
 * quotes is taken off, and the Schema of each field decides what is a number.
 *
 * Known are the formats of beanstalkd 1.4 to 1.13. Fields that 1.4 did not have are optional; a server that leaves out
 * one of the others has it read as 0 or the empty string; what a newer server adds is kept in `extra`, and the whole
 * reply in `raw`.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import { CountFromString, JobIdFromString, TubeName } from "./internal/protocol/scalars.ts"

// Digits, a fraction where there are seconds, and a sign: the time left of a job whose expiry the server has yet to
// notice. Not whatever JavaScript takes for a number.
const Digits = Schema.String.check(Schema.isPattern(/^-?[0-9]+(\.[0-9]+)?$/))
const NumberFromDigits = Digits.pipe(
  Schema.decodeTo(Schema.Finite, { decode: SchemaGetter.Number<string>(), encode: SchemaGetter.String<number>() })
)
// The number and its default in one step, since statistics consist of little else.
const Amount = Schema.optionalKey(Digits).pipe(
  Schema.decodeTo(Schema.Finite, {
    decode: SchemaGetter.transformOptional((digits) => Option.some(Number(Option.getOrElse(digits, () => "0")))),
    encode: SchemaGetter.String<number>()
  })
)
const Text = Schema.String.pipe(Schema.withDecodingDefaultKey(Effect.succeed("")))
const NewerAmount = Schema.optionalKey(NumberFromDigits)
const NewerText = Schema.optionalKey(Schema.String)

const TrueOrFalse = Schema.Literals(["true", "false"]).pipe(Schema.decodeTo(Schema.Boolean, {
  decode: SchemaGetter.transform((text: "true" | "false") => text === "true"),
  encode: SchemaGetter.transform((value) => value ? "true" : "false")
}))

const ReplyFields = {
  /** The reply as the server sent it. */
  raw: Schema.String,
  /** What the server reports beyond the fields of this class, by the server's own names. */
  extra: Schema.Record(Schema.String, Schema.String)
}

const JobCounts = {
  currentJobsUrgent: Amount,
  currentJobsReady: Amount,
  currentJobsReserved: Amount,
  currentJobsDelayed: Amount,
  currentJobsBuried: Amount
}

/**
 * The server's statistics (protocol: `stats`). Counters named `cmd...` and `total...` begin at 0 with the server's
 * process; `uptime` is in whole seconds, the `rusage...` fields in seconds with a fraction, sizes are in bytes.
 *
 * ```ts
 * import { Connection } from "effect-beanstalkd"
 * import { Effect } from "effect"
 *
 * const ready = Effect.gen(function*() {
 *   const connection = yield* Connection.Connection
 *   const stats = yield* connection.stats
 *   return stats.currentJobsReady
 * })
 * ```
 */
export class ServerStats extends Schema.Class<ServerStats>("effect-beanstalkd/ServerStats")({
  ...JobCounts,
  cmdPut: Amount,
  cmdPeek: Amount,
  cmdPeekReady: Amount,
  cmdPeekDelayed: Amount,
  cmdPeekBuried: Amount,
  cmdReserve: Amount,
  cmdReserveWithTimeout: Amount,
  cmdDelete: Amount,
  cmdRelease: Amount,
  cmdUse: Amount,
  cmdWatch: Amount,
  cmdIgnore: Amount,
  cmdBury: Amount,
  cmdKick: Amount,
  cmdTouch: Amount,
  cmdStats: Amount,
  cmdStatsJob: Amount,
  cmdStatsTube: Amount,
  cmdListTubes: Amount,
  cmdListTubeUsed: Amount,
  cmdListTubesWatched: Amount,
  cmdPauseTube: NewerAmount,
  jobTimeouts: Amount,
  totalJobs: Amount,
  maxJobSize: Amount,
  currentTubes: Amount,
  currentConnections: Amount,
  currentProducers: Amount,
  currentWorkers: Amount,
  currentWaiting: Amount,
  totalConnections: Amount,
  pid: Amount,
  version: Text,
  rusageUtime: Amount,
  rusageStime: Amount,
  uptime: Amount,
  binlogOldestIndex: Amount,
  binlogCurrentIndex: Amount,
  binlogRecordsMigrated: NewerAmount,
  binlogRecordsWritten: NewerAmount,
  binlogMaxSize: Amount,
  draining: Schema.optionalKey(TrueOrFalse),
  id: NewerText,
  hostname: NewerText,
  os: NewerText,
  platform: NewerText,
  ...ReplyFields
}) {}

/**
 * The statistics of a tube (protocol: `stats-tube`). `pause` and `pauseTimeLeft` are in whole seconds, 0 while the
 * tube is not paused; counters begin at 0 when the tube comes into being.
 */
export class TubeStats extends Schema.Class<TubeStats>("effect-beanstalkd/TubeStats")({
  name: Text,
  ...JobCounts,
  totalJobs: Amount,
  currentUsing: Amount,
  currentWatching: Amount,
  currentWaiting: Amount,
  cmdDelete: NewerAmount,
  cmdPauseTube: NewerAmount,
  pause: NewerAmount,
  pauseTimeLeft: NewerAmount,
  ...ReplyFields
}) {}

/**
 * The state of a job: `ready` for the next reserve, `delayed` until its delay has passed, `reserved` by a connection,
 * or `buried` until it is kicked.
 */
export const JobState = Schema.Literals(["ready", "delayed", "reserved", "buried"])

/**
 * One of the four states of a job.
 */
export type JobState = typeof JobState.Type

/**
 * The statistics of a job (protocol: `stats-job`). `age`, `delay`, `ttr` and `timeLeft` are in whole seconds, cut, not
 * rounded; `timeLeft` means something only while the job is reserved or delayed. `file` is the binlog file that holds
 * the job, 0 without a binlog.
 */
export class JobStats extends Schema.Class<JobStats>("effect-beanstalkd/JobStats")({
  id: JobIdFromString,
  tube: Text,
  state: JobState,
  pri: Amount,
  age: Amount,
  delay: Amount,
  ttr: Amount,
  timeLeft: Amount,
  file: Schema.optionalKey(CountFromString),
  reserves: Amount,
  timeouts: Amount,
  releases: Amount,
  buries: Amount,
  kicks: Amount,
  ...ReplyFields
}) {}

const unquote = (value: string): string =>
  value.length > 1 && value.startsWith("\"") && value.endsWith("\"") ? value.slice(1, -1) : value

const toWireName = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

/**
 * Splits the lines `key: value` of a statistics reply, after its first line `---`, and takes one pair of quotes off
 * each value. Nothing is interpreted: keys and values are text.
 */
export const parseDictionary = (text: string): Map<string, string> => {
  const entries = new Map<string, string>()
  forEachEntry(text, (key, value) => entries.set(key, value))
  return entries
}

// Nothing is made of a line but its key and its value: a worker may ask for the statistics of every job.
const forEachEntry = (text: string, take: (key: string, value: string) => void): void => {
  let colon = text.indexOf(":")
  for (let at = 0; colon !== -1 && at < text.length;) {
    const lineFeed = text.indexOf("\n", at)
    const end = lineFeed === -1 ? text.length : lineFeed
    if (colon < at) colon = text.indexOf(":", at)
    if (colon > at && colon < end) take(text.slice(at, colon), unquote(text.slice(colon + 1, end).trim()))
    at = end + 1
  }
}

/**
 * The names in a reply to one of the `list-...` commands: lines `- name` after a first line `---`.
 */
export const parseList = (text: string): ReadonlyArray<string> =>
  text.split("\n").filter((line) => line.startsWith("- ")).map((line) => unquote(line.slice(2).trim()))

// Every document of the server begins so.
const Document = Schema.String.check(Schema.isPattern(/^---\n/))

interface ReplyText {
  readonly raw: string
}

// What stands in the text is sorted into the fields of the class and the rest; the Schema then judges it as it is, so
// the type that it is given here is a promise that the Schema keeps.
const sortFields = <Encoded extends ReplyText>(fields: Readonly<Record<string, unknown>>) => {
  const names = new Map(Object.keys(fields).map((name) => [toWireName(name), name]))
  return (raw: string): Encoded => {
    const known: Record<string, unknown> = {}
    const extra: Array<[string, string]> = []
    forEachEntry(raw, (key, value) => {
      const name = names.get(key)
      if (name === undefined || name in ReplyFields) extra.push([key, value])
      else known[name] = value
    })
    return Object.assign(known, { raw, extra: Object.fromEntries(extra) }) as unknown as Encoded
  }
}

const encodeRaw = SchemaGetter.transform((encoded: ReplyText) => encoded.raw)

/**
 * {@link ServerStats} from the text of the reply.
 */
export const ServerStatsFromText = Document.pipe(
  Schema.decodeTo(ServerStats, {
    decode: SchemaGetter.transform(sortFields<typeof ServerStats["Encoded"]>(ServerStats.fields)),
    encode: encodeRaw
  })
)

/**
 * {@link TubeStats} from the text of the reply.
 */
export const TubeStatsFromText = Document.pipe(
  Schema.decodeTo(TubeStats, {
    decode: SchemaGetter.transform(sortFields<typeof TubeStats["Encoded"]>(TubeStats.fields)),
    encode: encodeRaw
  })
)

/**
 * {@link JobStats} from the text of the reply.
 */
export const JobStatsFromText = Document.pipe(
  Schema.decodeTo(JobStats, {
    decode: SchemaGetter.transform(sortFields<typeof JobStats["Encoded"]>(JobStats.fields)),
    encode: encodeRaw
  })
)

/**
 * A list of tube names from the text of the reply.
 */
export const TubeListFromText = Document.pipe(
  Schema.decodeTo(Schema.Array(TubeName), {
    decode: SchemaGetter.transform(parseList),
    encode: SchemaGetter.transform((names) => `---\n${names.map((name) => `- ${name}\n`).join("")}`)
  })
)
