/**
 * The statistics that the server reports on itself, on a tube and on a job.
 *
 * Known are the formats of beanstalkd 1.4 to 1.13. Fields that 1.4 did not have are optional. If a server leaves out
 * one of the others, it is read as 0 or the empty string. Fields that a newer server adds are kept in `extra`, and the
 * whole reply in `raw`.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import { CountFromString, JobIdFromString, TubeName } from "./internal/protocol/scalars.ts"
import {
  Amount,
  Document,
  encodeRaw,
  NewerAmount,
  NewerText,
  parseList,
  ReplyFields,
  sortFields,
  Text,
  TrueOrFalse
} from "./internal/protocol/statsText.ts"

const JobCounts = {
  currentJobsUrgent: Amount,
  currentJobsReady: Amount,
  currentJobsReserved: Amount,
  currentJobsDelayed: Amount,
  currentJobsBuried: Amount
}

/**
 * The server's statistics (protocol: `stats`). Counters named `cmd...` and `total...` begin at 0 with the server's
 * process. `uptime` is in whole seconds, the `rusage...` fields are in seconds with a fraction, sizes are in bytes.
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
 *
 * @since 0.1.0
 * @category models
 */
export class ServerStats extends Schema.Class<ServerStats>("effect-beanstalkd/Stats/ServerStats")({
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
 * The statistics of a tube (protocol: `stats-tube`). `pause` and `pauseTimeLeft` are in whole seconds, 0 while the tube
 * is not paused. Counters begin at 0 when the tube comes into being.
 *
 * @since 0.1.0
 * @category models
 */
export class TubeStats extends Schema.Class<TubeStats>("effect-beanstalkd/Stats/TubeStats")({
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
 *
 * @since 0.1.0
 * @category schemas
 */
export const JobState = Schema.Literals(["ready", "delayed", "reserved", "buried"])

/**
 * One of the four states of a job.
 *
 * @since 0.1.0
 * @category models
 */
export type JobState = typeof JobState.Type

/**
 * The statistics of a job (protocol: `stats-job`). `age`, `delay`, `ttr` and `timeLeft` are in whole seconds, rounded
 * down; `timeLeft` means something only while the job is reserved or delayed. `file` is the binlog file that holds the
 * job, 0 without a binlog.
 *
 * @since 0.1.0
 * @category models
 */
export class JobStats extends Schema.Class<JobStats>("effect-beanstalkd/Stats/JobStats")({
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

/**
 * {@link ServerStats} from the text of the reply.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ServerStatsFromText = Document.pipe(
  Schema.decodeTo(ServerStats, {
    decode: SchemaGetter.transform(sortFields<typeof ServerStats["Encoded"]>(ServerStats.fields)),
    encode: encodeRaw
  })
)

/**
 * {@link TubeStats} from the text of the reply.
 *
 * @since 0.1.0
 * @category schemas
 */
export const TubeStatsFromText = Document.pipe(
  Schema.decodeTo(TubeStats, {
    decode: SchemaGetter.transform(sortFields<typeof TubeStats["Encoded"]>(TubeStats.fields)),
    encode: encodeRaw
  })
)

/**
 * {@link JobStats} from the text of the reply.
 *
 * @since 0.1.0
 * @category schemas
 */
export const JobStatsFromText = Document.pipe(
  Schema.decodeTo(JobStats, {
    decode: SchemaGetter.transform(sortFields<typeof JobStats["Encoded"]>(JobStats.fields)),
    encode: encodeRaw
  })
)

/**
 * A list of tube names from the text of the reply.
 *
 * @since 0.1.0
 * @category schemas
 */
export const TubeListFromText = Document.pipe(
  Schema.decodeTo(Schema.Array(TubeName), {
    decode: SchemaGetter.transform(parseList),
    encode: SchemaGetter.transform((names) => `---\n${names.map((name) => `- ${name}\n`).join("")}`)
  })
)
