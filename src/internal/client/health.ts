/**
 * How a client is doing, as its connections tell.
 */
import * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"
import type { Contact } from "../pool/contact.ts"

/**
 * How a client is doing, for an endpoint that tells whether a program is alive. Nothing is asked of the server for it. It
 * has a Schema, which makes JSON of it:
 *
 * ```ts
 * import { Client } from "effect-beanstalkd"
 * import { Effect, Schema } from "effect"
 *
 * const health = Effect.gen(function*() {
 *   const beanstalkd = yield* Client.Beanstalkd
 *   const health = yield* beanstalkd.health
 *   return { status: health.isReachable ? 200 : 503, body: yield* Schema.encodeEffect(Client.Health)(health) }
 * })
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export class Health extends Schema.Class<Health>("effect-beanstalkd/Client/Health")({
  /** The address, as errors show it. */
  server: Schema.String,
  /**
   * Whether contact with the server is not lost. A server that has become silent is noticed when a command waits for it
   * longer than the `commandTimeout`.
   */
  isReachable: Schema.Boolean,
  /** Why contact was lost, in words. Left out while the server is reachable. */
  reason: Schema.optionalKey(Schema.String),
  /** When bytes last came from the server. Left out before the first. An idle client hears nothing. */
  lastHeard: Schema.optionalKey(Schema.DateTimeUtcFromString),
  /** How many connections are open: the shared one, those of the pool, and those of streams and workers. */
  connections: Schema.Finite,
  /** How many commands are on their way on all of them. A reserve that waits for a job is one. */
  commandsInFlight: Schema.Finite,
  /** How many jobs they hold, as far as the answers of the server tell. */
  jobsInFlight: Schema.Finite
}) {}

/** The health of the client that has these connections. */
export const healthOf = (server: string, contact: Contact): Health => {
  const { count, lastHeardAt, reason } = contact
  let commandsInFlight = 0
  let jobsInFlight = 0
  for (const { load, session } of contact.connections) {
    commandsInFlight += load
    jobsInFlight += session.held.size
  }
  return new Health({
    server,
    isReachable: contact.isReachable,
    ...(reason === undefined ? {} : { reason: reason.message }),
    ...(lastHeardAt === 0 ? {} : { lastHeard: DateTime.makeUnsafe(lastHeardAt) }),
    connections: count,
    commandsInFlight,
    jobsInFlight
  })
}
