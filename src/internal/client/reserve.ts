/**
 * Reserving one job on a connection of the pool, which goes back to it when the job is settled.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { Service, Tubes } from "../../Client.ts"
import * as Errors from "../../Errors.ts"
import type * as Pool from "../../Pool.ts"
import { commands, type RawJob } from "../../Protocol.ts"
import type { Pipeline } from "../connection/pipeline.ts"
import { reserveSliced } from "../connection/reserveSliced.ts"
import { handleOf } from "../job/oversized.ts"
import { ReservedJob } from "../job/reservedJob.ts"
import { internals } from "../pool/internals.ts"
import * as Validate from "../protocol/validate.ts"
import { idOf, type JobIdentifier } from "./byId.ts"

// A connection that has just come from the pool holds no job that could be due.
const neverDue = (error: Errors.DeadlineSoon) =>
  new Errors.BeanstalkdError({
    command: "reserve",
    server: error.server,
    sent: true,
    reason: new Errors.UnexpectedReply({ reply: "DEADLINE_SOON", detail: "the connection holds no job" })
  })

/** Options of `reserve`. */
export interface ReserveOptions {
  readonly timeout?: Duration.Input | undefined
}

/** The arguments of `reserve`, checked: the tubes, and for how many seconds to wait. */
export const readArguments = Effect.fnUntraced(function*(
  tubes: Tubes,
  options: ReserveOptions | undefined
): Effect.fn.Return<
  { readonly wanted: ReadonlyArray<string>; readonly seconds: number },
  Errors.InvalidArgument
> {
  const wanted = Validate.tubes("reserve", tubes)
  if (wanted instanceof Errors.InvalidArgument) return yield* wanted
  const all = Validate.snapshot("reserve", options, ["timeout"])
  if (all instanceof Errors.InvalidArgument) return yield* all
  const seconds = Validate.timeout("reserve", all.timeout)
  return seconds instanceof Errors.InvalidArgument ? yield* seconds : { wanted, seconds }
})

/** The members of a client that reserve one job. */
export const makeReserve = (pool: Pool.Service, patienceMillis: number) => {
  const { shared, take } = internals(pool)
  // The lease has a Scope of its own below the caller's: it ends with that, or sooner, when the job is settled.
  const onOwnConnection = <E>(
    take: Effect.Effect<Pipeline, Errors.BeanstalkdError, Scope.Scope>,
    reserve: (pipeline: Pipeline) => Effect.Effect<RawJob, E | Errors.ReplyTooLarge>
  ) =>
    Effect.uninterruptibleMask(Effect.fnUntraced(function*(restore) {
      const scope = yield* Scope.fork(yield* Effect.scope)
      return yield* Effect.gen(function*() {
        const pipeline = yield* restore(take)
        const origin = { pipeline, shared, listener: {} }
        const received = yield* restore(reserve(pipeline)).pipe(
          // Nobody can have the job, so it must not stay with this connection.
          Effect.tapError((error) => error instanceof Errors.ReplyTooLarge ? handleOf(error, origin).end : Effect.void)
        )
        const job = new ReservedJob(received, { ...origin, afterwards: Scope.close(scope, Exit.void) })
        yield* Scope.addFinalizer(scope, job.end)
        return job
      }).pipe(
        Scope.provide(scope),
        Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
      )
    }))

  const reserve = Effect.fnUntraced(
    function*(tubes: Tubes, options?: ReserveOptions) {
      const { seconds, wanted } = yield* readArguments(tubes, options)
      if (seconds === Infinity) {
        return yield* onOwnConnection(take(wanted), (pipeline) => reserveSliced(pipeline, Infinity))
      }
      const clock = yield* Clock.Clock
      const began = clock.currentTimeMillisUnsafe()
      const patience = Duration.millis(Math.max(seconds * 1000, patienceMillis))
      return yield* onOwnConnection(take(wanted, patience), (pipeline) => {
        const waited = Math.floor((clock.currentTimeMillisUnsafe() - began) / 1000)
        return reserveSliced(pipeline, Math.max(0, seconds - waited))
      }).pipe(
        Effect.catchTag(
          "TimedOut",
          ({ server }) => Effect.fail(new Errors.TimedOut({ server, timeoutSeconds: seconds }))
        )
      )
    },
    Effect.catchTag("DeadlineSoon", (error) => Effect.fail(neverDue(error)))
  )

  const reserveJob = Effect.fnUntraced(function*(job: JobIdentifier) {
    const named = idOf("reserve-job", pool.server, job)
    if (named instanceof Errors.InvalidArgument) return yield* named
    const id = Validate.jobId("reserve-job", named)
    if (id instanceof Errors.InvalidArgument) return yield* id
    return yield* onOwnConnection(take(), (pipeline) => pipeline.run(commands.reserveJob, id))
  })

  return { reserve: reserve as Service["reserve"], reserveJob }
}
