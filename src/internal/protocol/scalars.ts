/**
 * The values that travel in commands and replies: job ids, tube names, priorities and whole seconds, with the bounds
 * that the server sets. The ground floor, shared by the client and the embedded server: nothing here knows about bytes,
 * commands or connections.
 */
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"

/**
 * The largest number that the protocol has room for in a priority, a bound, or in seconds of a delay or a ttr: 2^32 -
 * 1.
 *
 * @since 0.1.0
 * @category constants
 */
export const MAX_UINT32 = 4_294_967_295

/**
 * The priority of a job that was put without one: the middle of the range, 2^31.
 *
 * @since 0.1.0
 * @category constants
 */
export const DEFAULT_PRIORITY = 2_147_483_648

/**
 * The time to run of a job that was put without one, in seconds.
 *
 * @since 0.1.0
 * @category constants
 */
export const DEFAULT_TTR_SECONDS = 120

/**
 * The port on which beanstalkd listens by default.
 *
 * @since 0.1.0
 * @category constants
 */
export const DEFAULT_PORT = 11_300

/**
 * The id that the server gave to a job: a positive integer, unique for the life of the server, or of its binlog if it
 * has one. The server counts to 2^64. Ids above 2^53 - 1, which a JavaScript number cannot hold exactly, are refused,
 * since a rounded one would name another job.
 *
 * Ids come from `put`, `reserve` and the peeks. `JobId.make` checks an id that was stored elsewhere:
 *
 * ```ts
 * import { Protocol } from "effect-beanstalkd"
 *
 * const id: Protocol.JobId = Protocol.JobId.make(42)
 * ```
 *
 * @since 0.1.0
 * @category models
 */
export type JobId = typeof JobId.Type

/**
 * The Schema of {@link JobId}: a safe integer, not negative.
 *
 * @since 0.1.0
 * @category schemas
 */
export const JobId = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)).pipe(Schema.brand("JobId"))

/** A job id as it stands in a reply: decimal digits. */
export const JobIdFromString = Schema.String.check(Schema.isPattern(/^[0-9]{1,20}$/)).pipe(
  Schema.decodeTo(JobId, { decode: SchemaGetter.Number<string>(), encode: SchemaGetter.String<number>() })
)

/** A count as it stands in a reply (`WATCHING 2`, `KICKED 7`): decimal digits. */
export const CountFromString = Schema.String.check(Schema.isPattern(/^[0-9]{1,20}$/)).pipe(
  Schema.decodeTo(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)), {
    decode: SchemaGetter.Number<string>(),
    encode: SchemaGetter.String<number>()
  })
)

/** The names that a tube may have: 1 to 200 of `A-Z a-z 0-9 - + / ; . $ _ ( )`, not beginning with `-`. */
export const TUBE_NAME_PATTERN = /^[A-Za-z0-9+/;.$_()][A-Za-z0-9\-+/;.$_()]{0,199}$/

/**
 * The Schema of a tube's name (protocol: "Names"): 1 to 200 of `A-Z a-z 0-9 - + / ; . $ _ ( )`, not beginning with `-`.
 * Commands take plain strings and check them against it.
 *
 * ```ts
 * import { Protocol } from "effect-beanstalkd"
 * import { Schema } from "effect"
 *
 * const isTubeName = Schema.is(Protocol.TubeName)
 * isTubeName("emails") // true
 * isTubeName("-emails") // false
 * ```
 *
 * @since 0.1.0
 * @category schemas
 */
export const TubeName = Schema.String.check(Schema.isPattern(TUBE_NAME_PATTERN))

/**
 * The Schema of a priority: an integer from 0, the most urgent, to 2^32 - 1. Jobs with a priority below 1024 count as
 * urgent in the statistics.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Priority = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: MAX_UINT32 }))
