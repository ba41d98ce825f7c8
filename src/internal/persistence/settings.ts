/**
 * The options of a store, checked, with their defaults.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Client from "../../Client.ts"
import * as Errors from "../../Errors.ts"
import type { Options } from "../../PersistedQueueStore.ts"
import { checked, DEFAULT_MAX_CONNECTIONS } from "../consumer/options.ts"
import { TUBE_NAME_PATTERN } from "../protocol/scalars.ts"
import * as Validate from "../protocol/validate.ts"

/** The options of a store with nothing left out. */
export interface Settings {
  readonly prefix: string
  readonly ttr: Duration.Duration
  readonly maxConnections: number
}

const OPERATION = "PersistedQueueStore.layer"

const DEFAULT_PREFIX = "pq."
const DEFAULT_TTR = Duration.seconds(60)

// The rest of a tube's name has room for a hash of the queue's.
const LONGEST_PREFIX = 100

const PREFIX_RULE =
  `1 to ${LONGEST_PREFIX} characters of A-Z a-z 0-9 - + / ; . $ _ ( ), not beginning with -, as tubes are named`

const OPTIONS = Validate.optionNames<Options>({ prefix: true, ttr: true, maxConnections: true })

const prefixOf = (value: unknown): string | Errors.InvalidArgument => {
  if (value === undefined) return DEFAULT_PREFIX
  return typeof value === "string" && value.length <= LONGEST_PREFIX && TUBE_NAME_PATTERN.test(value)
    ? value
    : Validate.refuse(OPERATION, "prefix", value, PREFIX_RULE)
}

const ttrOf = (value: unknown): Duration.Duration | Errors.InvalidArgument => {
  if (value === undefined) return DEFAULT_TTR
  const seconds = Validate.ttr(OPERATION, value)
  return seconds instanceof Errors.InvalidArgument ? seconds : Duration.seconds(seconds)
}

const connectionsOf = (value: unknown): number | Errors.InvalidArgument =>
  value === undefined ? DEFAULT_MAX_CONNECTIONS : Validate.wholeNumber(OPERATION, "maxConnections", value, 1)

/** Checks the options. */
export const resolve = Effect.fnUntraced(function*(
  client: Client.Service,
  given: Options
): Effect.fn.Return<Settings, Errors.BeanstalkdError> {
  const options = yield* checked(client, Validate.snapshot(OPERATION, given, OPTIONS))
  return {
    prefix: yield* checked(client, prefixOf(options.prefix)),
    ttr: yield* checked(client, ttrOf(options.ttr)),
    maxConnections: yield* checked(client, connectionsOf(options.maxConnections))
  }
})
