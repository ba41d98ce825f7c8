/**
 * A reserved job, bound to the connection that reserved it, which is the only one that can settle it.
 *
 * A job is settled once: deleted, released or buried. That gives its connection back at once. A handle of a job that is
 * settled, or whose time has run out, says `NotFound` and touches nothing, even if somebody else has the job by then.
 *
 * Settling is not interruptible, since one must know afterwards whether it happened: it takes a round trip, or the command
 * timeout if the server is gone.
 */
import * as Effect from "effect/Effect"
import * as Errors from "./Errors.ts"
import type { Pipeline } from "./Pipeline.ts"
import * as Protocol from "./Protocol.ts"
import type { Shared } from "./Shared.ts"
import type { JobStats } from "./Stats.ts"
import type { JobId } from "./Values.ts"

/**
 * Options of `release`. Without a `priority` the job keeps its own; without a `delay` it is ready at once.
 */
export type ReleaseOptions = Protocol.ReleaseOptions

/**
 * Options of `bury`. Without a `priority` the job keeps its own.
 */
export type BuryOptions = Protocol.BuryOptions

/**
 * A reserved job. When its Scope is closed before it was settled, it is released with its own priority.
 *
 * ```ts
 * import { Client } from "effect-beanstalkd"
 * import { Effect } from "effect"
 *
 * const handleOne = Effect.gen(function*() {
 *   const beanstalkd = yield* Client.Beanstalkd
 *   const job = yield* beanstalkd.reserve("emails")
 *   if ((yield* job.attempt) > 3) return yield* job.bury()
 *   yield* Effect.log(job.text)
 *   yield* job.delete
 * }).pipe(Effect.scoped)
 * ```
 */
export interface Job {
  readonly id: JobId
  /** The body, every byte as it was put. */
  readonly body: Uint8Array
  /** The body read as UTF-8. */
  readonly text: string
  /** Deletes it: the work is done. (protocol: `delete`) */
  readonly delete: Effect.Effect<void, Protocol.Failure<"delete">>
  /** Makes it ready again, at once or after a delay. (protocol: `release`) */
  readonly release: (options?: ReleaseOptions) => Effect.Effect<void, Protocol.Failure<"release">>
  /** Puts it aside until it is kicked. (protocol: `bury`) */
  readonly bury: (options?: BuryOptions) => Effect.Effect<void, Protocol.Failure<"bury">>
  /** Gives it its whole time to run again. (protocol: `touch`) */
  readonly touch: Effect.Effect<void, Protocol.Failure<"touch">>
  /** Its statistics. (protocol: `stats-job`) */
  readonly stats: Effect.Effect<JobStats, Protocol.Failure<"statsJob">>
  /** The tube that it lies in; asked from the server once. */
  readonly tube: Effect.Effect<string, Protocol.Failure<"statsJob">>
  /** How often it has been reserved, this time included; asked from the server once. */
  readonly attempt: Effect.Effect<number, Protocol.Failure<"statsJob">>
}

/**
 * A job that was only looked at: `id`, `body` and `text`.
 */
export type PeekedJob = Protocol.ReceivedJob

/**
 * A job and what its owner must do when its Scope is closed.
 */
export interface Lease {
  readonly job: Job
  /** Releases the job, unless it is settled; the connection is closed if that fails, which releases it as well. */
  readonly end: Effect.Effect<void>
}

const { commands } = Protocol

/**
 * The lease of a job that `pipeline` has reserved. `onSettled` runs once, when the job is settled or lost.
 */
export const makeLease = (
  received: Protocol.ReceivedJob,
  pipeline: Pipeline,
  shared: Pick<Shared, "run">,
  onSettled: Effect.Effect<void>
): Lease => {
  const { id } = received
  let isSettled = false
  let known: JobStats | undefined

  const gone = (command: string) =>
    Effect.fail(
      new Errors.NotFound({
        command,
        server: pipeline.server,
        id,
        detail: "this handle of it was settled, or its time ran out"
      })
    )

  // Not interruptible: it takes a round trip, and afterwards one must know whether the job is settled.
  const settle = <A, E>(command: string, effect: Effect.Effect<A, E>): Effect.Effect<A, E | Errors.NotFound> =>
    Effect.uninterruptible(Effect.suspend((): Effect.Effect<A, E | Errors.NotFound> => {
      if (isSettled) return gone(command)
      isSettled = true
      return Effect.onExit(effect, () => {
        // Refused, with the job still in hand: it can be tried again, and the end of the Scope takes care of it.
        if (pipeline.death === undefined && pipeline.session.held.has(id)) {
          isSettled = false
          return Effect.void
        }
        return onSettled
      })
    }))

  // Its time has run out: whatever the handle does from now on, it must not do to the next lease of the job.
  const lose = Effect.suspend(() => {
    if (isSettled) return Effect.void
    isSettled = true
    return onSettled
  })

  // Without a priority the job keeps its own, which has to be asked for. The other arguments are checked before that.
  const withOwnPriority = <O extends Protocol.BuryOptions, E>(
    command: Protocol.Command<[id: JobId, options?: O], Errors.InvalidArgument, void, E>,
    options: O
  ): Effect.Effect<void, E | Errors.NotFound | Errors.InvalidArgument | Errors.BeanstalkdError> =>
    Effect.suspend(() => {
      const request = command.encode(id, options)
      if (request instanceof Errors.InvalidArgument) return Effect.fail(request)
      if (options.priority !== undefined) return pipeline.run(command, id, options)
      return Effect.flatMap(
        pipeline.run(commands.statsJob, id),
        ({ pri }) => pipeline.run(command, id, { ...options, priority: pri })
      )
    })

  const release = (options: ReleaseOptions = {}) => settle("release", withOwnPriority(commands.release, options))

  const bury = (options: BuryOptions = {}) => settle("bury", withOwnPriority(commands.bury, options))

  const stats = Effect.tap(shared.run(commands.statsJob, id), (stats) => Effect.sync(() => known ??= stats))
  const once = Effect.suspend(() => known === undefined ? stats : Effect.succeed(known))

  const job: Job = {
    id,
    body: received.body,
    get text() {
      return received.text
    },
    delete: settle("delete", pipeline.run(commands.delete, id)),
    release,
    bury,
    touch: Effect.suspend(() => isSettled ? gone("touch") : pipeline.run(commands.touch, id)).pipe(
      Effect.tapErrorTag("NotFound", () => lose)
    ),
    stats,
    tube: Effect.map(once, (known) => known.tube),
    attempt: Effect.map(once, (known) => known.reserves)
  }

  const end = Effect.suspend(() => {
    if (isSettled) return Effect.void
    return Effect.catchTags(release(), {
      // Its time has run out meanwhile, or it was buried: nobody is left without it.
      NotFound: () => Effect.void,
      JobBuried: () => Effect.void,
      InvalidArgument: Effect.die,
      BeanstalkdError: ({ reason }) => Effect.sync(() => pipeline.die(reason))
    })
  })

  return { job, end }
}
