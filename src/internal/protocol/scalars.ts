/**
 * The values that travel in commands and replies: job ids, tube names, priorities and whole seconds, with the
 * bounds that the server sets. The ground floor: nothing here knows about bytes, commands or connections.
 */
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"

/**
 * The largest number the protocol has room for in a priority, a delay, a ttr or a bound: an unsigned 32-bit integer.
 */
export const MAX_UINT32 = 4_294_967_295

/**
 * The priority of a job that was put without one: the middle of the range, 2^31.
 */
export const DEFAULT_PRIORITY = 2_147_483_648

/**
 * The time to run, in seconds, of a job that was put without one.
 */
export const DEFAULT_TTR_SECONDS = 120

/**
 * The port on which beanstalkd listens unless it is told otherwise.
 */
export const DEFAULT_PORT = 11_300

/**
 * The id that the server gave to a job: a positive integer, unique for the life of the server (with a binlog: of its
 * binlog). The server counts to 2^64; ids above 2^53 - 1, which a JavaScript number cannot hold exactly, are refused
 * rather than rounded.
 *
 * Ids come from `put`, `reserve` and the peeks. One that was stored elsewhere is checked by `JobId.make`:
 *
 * ```ts
 * import { Protocol } from "effect-beanstalkd"
 *
 * const id: Protocol.JobId = Protocol.JobId.make(42)
 * ```
 */
export type JobId = typeof JobId.Type

/**
 * The Schema of {@link JobId}: a safe integer, not negative.
 */
export const JobId = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)).pipe(Schema.brand("JobId"))

/**
 * A job id as it stands in a reply: decimal digits.
 */
export const JobIdFromString = Schema.String.check(Schema.isPattern(/^[0-9]{1,20}$/)).pipe(
  Schema.decodeTo(JobId, { decode: SchemaGetter.Number<string>(), encode: SchemaGetter.String<number>() })
)

/**
 * A count as it stands in a reply (`WATCHING 2`, `KICKED 7`): decimal digits.
 */
export const CountFromString = Schema.String.check(Schema.isPattern(/^[0-9]{1,20}$/)).pipe(
  Schema.decodeTo(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)), {
    decode: SchemaGetter.Number<string>(),
    encode: SchemaGetter.String<number>()
  })
)

/**
 * What a tube may be called: 1 to 200 of `A-Z a-z 0-9 - + / ; . $ _ ( )`, not beginning with `-`.
 */
export const TUBE_NAME_PATTERN = /^[A-Za-z0-9+/;.$_()][A-Za-z0-9\-+/;.$_()]{0,199}$/

/**
 * The Schema of a tube's name (protocol: "Names"). Commands take plain strings and check them against it, so there is
 * no brand to carry around.
 *
 * ```ts
 * import { Protocol } from "effect-beanstalkd"
 * import { Schema } from "effect"
 *
 * const isTubeName = Schema.is(Protocol.TubeName)
 * isTubeName("emails") // true
 * isTubeName("-emails") // false
 * ```
 */
export const TubeName = Schema.String.check(Schema.isPattern(TUBE_NAME_PATTERN))

/**
 * The Schema of a priority: an integer from 0, the most urgent, to 2^32 - 1. Jobs below 1024 count as urgent in the
 * statistics.
 */
export const Priority = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: MAX_UINT32 }))
