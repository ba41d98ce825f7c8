/**
 * The identity of a job: ids are per server, so a number alone names a job only as long as there is one server.
 */
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import { NodeInspectSymbol } from "effect/Inspectable"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { JobId } from "./scalars.ts"

const TypeId = "~effect-beanstalkd/Job/JobRef"

/**
 * A job of a server: `server` is the address as errors show it, such as `127.0.0.1:11300`, and `id` the id that this
 * server has given it. `put` gives one; every command that takes an id takes one, and refuses that of another server.
 * Servers are told apart by their address as the client was given it, so `localhost:11300` is not `127.0.0.1:11300`.
 *
 * Two references to the same job are equal (`Equal.equals`) and have the same hash. As text, `127.0.0.1:11300/7`,
 * a reference can be logged, stored, and read back with {@link JobRefFromString}. A server without a binlog counts from 1
 * again when it is restarted: a reference that must outlive a restart belongs together with the `id` of the server's
 * statistics.
 *
 * ```ts
 * import { Client } from "effect-beanstalkd"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const beanstalkd = yield* Client.Beanstalkd
 *   const ref = yield* beanstalkd.put("emails", "hello")
 *   yield* Effect.log(`put ${ref}`) // put 127.0.0.1:11300/7
 *   yield* beanstalkd.delete(ref)
 * })
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export class JobRef extends Schema.Class<JobRef>(TypeId)({
  server: Schema.NonEmptyString,
  id: JobId
}) {
  [Equal.symbol](that: unknown): boolean {
    return that instanceof JobRef && this.id === that.id && this.server === that.server
  }

  [Hash.symbol](): number {
    return Hash.string(this.toString())
  }

  override toString(): string {
    return `${this.server}/${this.id}`
  }

  [NodeInspectSymbol](): string {
    return `JobRef(${this.toString()})`
  }
}

const PATTERN = /^([^]+)\/(0|[1-9][0-9]{0,15})$/

/**
 * A {@link JobRef} as text, `server/id`: `127.0.0.1:11300/7`, `unix:/run/beanstalkd.sock/7`.
 *
 * ```ts
 * import { Job } from "effect-beanstalkd"
 * import { Schema } from "effect"
 *
 * const ref = Schema.decodeSync(Job.JobRefFromString)("127.0.0.1:11300/7")
 * ref.id // 7
 * ```
 *
 * @category schemas
 * @since 0.1.0
 */
export const JobRefFromString: Schema.Codec<JobRef, string> = Schema.String.check(
  Schema.isPattern(PATTERN, { expected: "a server and a job id, such as 127.0.0.1:11300/7" })
).pipe(
  Schema.decodeTo(
    JobRef,
    SchemaTransformation.transform({
      decode: (text: string) => {
        const end = text.lastIndexOf("/")
        return { server: text.slice(0, end), id: Number(text.slice(end + 1)) }
      },
      encode: (ref) => `${ref.server}/${ref.id}`
    })
  )
)
