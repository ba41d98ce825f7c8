/**
 * The pull of a stream of jobs: reserves what is pulled and a few more, which it keeps until they are pulled.
 */
import type * as Array from "effect/Array"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Errors from "../../Errors.ts"
import type { Job } from "../../Job.ts"
import type { ReservedJob } from "../job/reservedJob.ts"
import type { Intake, IntakeSettings } from "./intake.ts"
import * as LeaseKeeper from "./leaseKeeper.ts"

/** What a stream was told, checked. */
export interface PrefetchSettings {
  readonly tubes: ReadonlyArray<string>
  readonly prefetch: number
  readonly maxInFlight: number
  readonly maxConnections: number
  readonly keepLeases: boolean
  readonly touchIntervalMillis: number
}

/** One pull: the next job. */
export type Pull = Effect.Effect<Array.NonEmptyReadonlyArray<Job>, Errors.BeanstalkdError>

/** A pull whose connections and jobs end with the Scope. */
export const makePull = Effect.fnUntraced(function*(
  open: (settings: IntakeSettings) => Effect.Effect<Intake, never, Scope.Scope>,
  { keepLeases, maxConnections, maxInFlight, prefetch, touchIntervalMillis, tubes }: PrefetchSettings
): Effect.fn.Return<{ readonly pull: Pull }, never, Scope.Scope> {
  const leases = yield* LeaseKeeper.make(touchIntervalMillis)
  const ready: globalThis.Array<ReservedJob> = []
  let puller: ((pulled: Pull) => void) | undefined
  let failure: Errors.BeanstalkdError | undefined

  const answer = (pulled: Pull) => {
    const resume = puller
    puller = undefined
    resume?.(pulled)
  }

  const mayPrefetch = (): number => prefetch - intake.asked - ready.length

  const intake: Intake = yield* open({
    tubes,
    maxConnections,
    room: () => Math.min(mayPrefetch(), maxInFlight - intake.taken),
    mayReuse: () => mayPrefetch() > 0,
    isInUse: (job) => !job.isOver,
    isKept: (job) => leases.has(job),
    onJob: (job) => {
      leases.add(job)
      ready.push(job)
      if (puller !== undefined) answer(Effect.succeed([take()!]))
    },
    onOver: (job) => {
      leases.remove(job)
      const at = ready.indexOf(job)
      if (at !== -1) ready.splice(at, 1)
    },
    onFailure: (error) => {
      failure = error
      answer(Effect.fail(error))
    }
  })

  const take = (): ReservedJob | undefined => {
    const job = ready.shift()
    if (job !== undefined && !keepLeases) leases.remove(job)
    return job
  }

  // A job may have come since the pull looked, if its fiber had to yield in between.
  const wait: Pull = Effect.callback((resume) => {
    const job = take()
    if (job !== undefined) return resume(Effect.succeed([job]))
    if (failure !== undefined) return resume(Effect.fail(failure))
    puller = resume
    return Effect.sync(() => puller = undefined)
  })

  const pull = Effect.suspend((): Pull => {
    const first = take()
    // With a server in memory, the job that this asks for is here when it returns.
    intake.fill()
    const job = first ?? take()
    return job === undefined ? wait : Effect.succeed([job])
  })
  return { pull }
})
