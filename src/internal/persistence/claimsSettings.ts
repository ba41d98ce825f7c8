/**
 * The options of claims, checked, with their defaults.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Errors from "../../Errors.ts"
import type { RedisOptions, SqlOptions } from "../../Claims.ts"
import { checked } from "../consumer/options.ts"
import * as Validate from "../protocol/validate.ts"
import type { RedisSettings } from "./redisClaims.ts"

// Wrong options concern no server.
const NO_SERVER = { server: "no server" }

const REDIS = "Claims.layerRedis"
const SQL = "Claims.layerSql"

const DEFAULT_PREFIX = "beanstalkd:claims:"
const DEFAULT_TIME_TO_LIVE = Duration.days(30)
const DEFAULT_TABLE = "beanstalkd_claims"

const REDIS_OPTIONS = Validate.optionNames<RedisOptions>({ prefix: true, timeToLive: true })
const SQL_OPTIONS = Validate.optionNames<SqlOptions>({ table: true })

const textOf = (operation: string, argument: string, value: unknown): string | Errors.InvalidArgument =>
  typeof value === "string" && value !== "" ? value : Validate.refuse(operation, argument, value, "a text, not empty")

/** Checks the options of claims in Redis. */
export const redis = Effect.fnUntraced(function*(
  given: RedisOptions
): Effect.fn.Return<RedisSettings, Errors.BeanstalkdError> {
  const options = yield* checked(NO_SERVER, Validate.snapshot(REDIS, given, REDIS_OPTIONS))
  const timeToLive = options.timeToLive ?? DEFAULT_TIME_TO_LIVE
  return {
    prefix: yield* checked(NO_SERVER, textOf(REDIS, "prefix", options.prefix ?? DEFAULT_PREFIX)),
    timeToLive: yield* checked(NO_SERVER, Validate.positiveDuration(REDIS, "timeToLive", timeToLive))
  }
})

/** Checks the options of claims in a database, and gives the name of the table. */
export const sql = Effect.fnUntraced(function*(given: SqlOptions): Effect.fn.Return<string, Errors.BeanstalkdError> {
  const options = yield* checked(NO_SERVER, Validate.snapshot(SQL, given, SQL_OPTIONS))
  return yield* checked(NO_SERVER, textOf(SQL, "table", options.table ?? DEFAULT_TABLE))
})
