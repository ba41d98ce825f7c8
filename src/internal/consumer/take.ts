/**
 * One job for one Scope: its lease is kept for as long as the Scope lives, and the end of the Scope settles it.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type * as Client from "../../Client.ts"
import type * as Consumer from "../../Consumer.ts"
import * as Errors from "../../Errors.ts"
import type { Job } from "../../Job.ts"
import type { Failure } from "../../Protocol.ts"
import { reservedOf } from "../job/decodedJob.ts"
import type { ReservedJob } from "../job/reservedJob.ts"
import { refused } from "../protocol/invalidOptions.ts"
import * as Validate from "../protocol/validate.ts"
import * as LeaseKeeper from "./leaseKeeper.ts"
import { checked, touchInterval } from "./options.ts"

const OPERATION = "Consumer.take"

const OPTIONS = Validate.optionNames<Consumer.TakeOptions>({
  timeout: true,
  onFailure: true,
  delay: true,
  priority: true,
  touchInterval: true
})

type OnFailure = (job: Job) => Effect.Effect<void, Failure<"release"> | Failure<"bury">>

const onFailureOf = (
  { delay, onFailure = "release", priority }: Consumer.TakeOptions
): OnFailure | Errors.InvalidArgument => {
  const what = Validate.oneOf<"release" | "bury">(OPERATION, "onFailure", onFailure, ["release", "bury"])
  if (what instanceof Errors.InvalidArgument) return what
  const pri = priority === undefined ? undefined : Validate.uint32(OPERATION, "priority", priority)
  if (pri instanceof Errors.InvalidArgument) return pri
  const seconds = delay === undefined ? undefined : Validate.delay(OPERATION, delay)
  if (seconds instanceof Errors.InvalidArgument) return seconds
  if (what === "release") {
    return (job) => job.release({ priority: pri, delay: seconds === undefined ? undefined : Duration.seconds(seconds) })
  }
  if (seconds === undefined) return (job) => job.bury({ priority: pri })
  const rule = "left out, since onFailure is \"bury\""
  return new Errors.InvalidArgument({ operation: OPERATION, argument: "delay", value: delay, rule })
}

const settingsOf = Effect.fnUntraced(function*(
  client: Client.Service,
  tubes: Client.Tubes,
  given: Consumer.TakeOptions
) {
  const options = yield* checked(client, Validate.snapshot(OPERATION, given, OPTIONS))
  const seconds = yield* checked(client, Validate.timeout(OPERATION, options.timeout))
  return {
    tubes: yield* checked(client, Validate.tubes(OPERATION, tubes)),
    timeout: seconds === Infinity ? undefined : Duration.seconds(seconds),
    onFailure: yield* checked(client, onFailureOf(options)),
    touchIntervalMillis: yield* checked(client, touchInterval(OPERATION, options.touchInterval))
  }
})

// Loggers are written by others: none may keep the Scope from its end.
const warn = (job: Job, message: string, cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  Effect.logWarning(`job ${job.id}: ${message}`, cause).pipe(
    Effect.annotateLogs({ server: job.server, job: job.id }),
    Effect.ignoreCause
  )

const settleBy = (job: ReservedJob, exit: Exit.Exit<unknown, unknown>, onFailure: OnFailure) => {
  if (Exit.isSuccess(exit)) return job.delete
  return Cause.hasInterruptsOnly(exit.cause) ? job.release() : onFailure(job)
}

// The end of a Scope can neither fail nor be tried again. If the server refuses, closing the connection releases the job.
const end = (job: ReservedJob, exit: Exit.Exit<unknown, unknown>, onFailure: OnFailure): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (job.isLost) {
      return warn(job, "its lease was lost before it was settled, so another consumer may have it", Cause.empty)
    }
    if (job.isOver) return Effect.void
    return Effect.catchCause(settleBy(job, exit, onFailure), (cause) => {
      const detail = `job ${job.id} could not be settled at the end of its Scope`
      if (!job.isOver) job.abandon(new Errors.ConnectionClosed({ detail }))
      return warn(job, "it could not be settled at the end of its Scope", cause)
    })
  })

interface Keeping {
  readonly onFailure: OnFailure
  readonly touchIntervalMillis: number
}

const keep = Effect.fnUntraced(function*(
  job: ReservedJob,
  scope: Scope.Closeable,
  { onFailure, touchIntervalMillis }: Keeping
) {
  const leases = yield* LeaseKeeper.make(touchIntervalMillis)
  const fork = Effect.runForkWith(yield* Effect.context())
  leases.add(job)
  const forgetDeath = job.loseWithConnection()
  // Settled or lost before the end: there is nothing to be kept any more, and the outer Scope may live for long.
  const forgetOver = job.whenOver(() => {
    forgetDeath()
    fork(Scope.close(scope, Exit.void))
  })
  yield* Effect.addFinalizer((exit) =>
    Effect.suspend(() => {
      forgetOver()
      return Effect.ensuring(end(job, exit, onFailure), Effect.sync(forgetDeath))
    })
  )
  return job
})

// Who gives jobs of another kind than this client's cannot have their leases kept.
const reservedBy = (job: Job): Effect.Effect<ReservedJob> => {
  const reserved = reservedOf(job)
  return reserved === undefined
    ? Effect.die(new TypeError(`${OPERATION}: the client reserved a job that is not of its own kind`))
    : Effect.succeed(reserved)
}

/** Takes one job, see `Consumer.take`. */
export const take = (
  client: Client.Service,
  tubes: Client.Tubes,
  options: Consumer.TakeOptions = {}
): Effect.Effect<Job, Errors.TimedOut | Errors.ReplyTooLarge | Errors.BeanstalkdError, Scope.Scope> =>
  Effect.uninterruptibleMask(Effect.fnUntraced(function*(restore) {
    const settings = yield* settingsOf(client, tubes, options)
    const reserve = client.reserve(settings.tubes, { timeout: settings.timeout }).pipe(
      Effect.catchTag("InvalidArgument", (invalid) => Effect.fail(refused(client.server, invalid))),
      Effect.flatMap(reservedBy)
    )
    // Of its own, so that an interruption which comes with the job releases it at once, and not with the outer Scope.
    const scope = yield* Scope.fork(yield* Effect.scope)
    return yield* restore(reserve).pipe(
      Effect.flatMap((job) => keep(job, scope, settings)),
      Scope.provide(scope),
      Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
    )
  }))
