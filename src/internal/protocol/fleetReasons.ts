/**
 * The reasons for which a command fails on several servers together.
 */
import * as Schema from "effect/Schema"

/**
 * How a fleet sees one of its servers: `up` takes jobs; the others do not. `down` cannot be reached, `draining` refuses new
 * jobs since it got SIGUSR1, `full` has no memory for another job, `silent` owes an answer or has not answered yet, and
 * `leaving` is emptied before it is left.
 *
 * @since 0.1.0
 * @category schemas
 */
export const ServerStatus = Schema.Literals(["up", "down", "draining", "full", "silent", "leaving"])

/**
 * The status of one server of a fleet.
 *
 * @since 0.1.0
 * @category models
 */
export type ServerStatus = typeof ServerStatus.Type

/**
 * No server of a fleet took the job in time. `servers` has all of them: the `status` of each, and the `reason` if it has one.
 *
 * @since 0.1.0
 * @category errors
 */
export class NoServer extends Schema.TaggedError<NoServer>("effect-beanstalkd/Errors/NoServer")("NoServer", {
  servers: Schema.Array(Schema.Struct({
    server: Schema.String,
    status: ServerStatus,
    reason: Schema.optionalKey(Schema.String)
  }))
}) {
  get isRetryable(): boolean {
    return true
  }

  override get message(): string {
    if (this.servers.length === 0) return "the fleet has no servers"
    const each = this.servers.map(({ reason, server, status }) =>
      `${server} is ${status}${reason === undefined ? "" : ` (${reason})`}`
    )
    return `no server takes it: ${each.join(", ")}`
  }
}

/**
 * A command that goes to all servers of a fleet was carried out by some of them, those in `done`, and not by those in
 * `failed`, of which each has its message.
 *
 * @since 0.1.0
 * @category errors
 */
export class PartlyDone extends Schema.TaggedError<PartlyDone>("effect-beanstalkd/Errors/PartlyDone")("PartlyDone", {
  done: Schema.Array(Schema.String),
  failed: Schema.Array(Schema.Struct({ server: Schema.String, message: Schema.String }))
}) {
  get isRetryable(): boolean {
    return true
  }

  override get message(): string {
    const failed = this.failed.map(({ message, server }) => `${server} (${message})`)
    return `done on ${this.done.join(", ")}, and not on ${failed.join(", ")}`
  }
}
