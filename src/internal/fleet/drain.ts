/**
 * Emptying one server of a fleet: it takes no more jobs, its consumers take what is ready, and what they do not take is moved
 * to other servers on request.
 *
 * A job is moved by a copy elsewhere, and then deleted: a crash in between leaves two of it, never none.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { Service as Client } from "../../Client.ts"
import * as Errors from "../../Errors.ts"
import type { DrainOptions, DrainReport } from "../../Fleet.ts"
import type { RawJob } from "../../Protocol.ts"
import type { JobStats, ServerStats } from "../../Stats.ts"
import { refused } from "../protocol/invalidOptions.ts"
import * as Validate from "../protocol/validate.ts"
import type { Member } from "./member.ts"
import type { Members } from "./members.ts"

const OPERATION = "Fleet.drain"

const OPTIONS = Validate.optionNames<DrainOptions>({ ready: true, delayed: true, buried: true, timeout: true })

const READY: ReadonlyArray<"wait" | "move"> = ["wait", "move"]
const BURIED: ReadonlyArray<"report" | "move"> = ["report", "move"]

// How often the server is asked what it has.
const ASK_INTERVAL = Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("1 second")])

// Long enough that nobody gets a copy before it is buried.
const UNTIL_BURIED = "1 hour"

interface Plan {
  readonly ready: "wait" | "move"
  readonly delayed: "wait" | "move"
  readonly buried: "report" | "move"
  readonly timeout: Duration.Duration
}

const planOf = (server: string, given: DrainOptions | undefined): Plan | Errors.BeanstalkdError => {
  const options = Validate.snapshot(OPERATION, given, OPTIONS)
  if (options instanceof Errors.InvalidArgument) return refused(server, options)
  const ready = Validate.oneOf(OPERATION, "ready", options.ready ?? "wait", READY)
  if (ready instanceof Errors.InvalidArgument) return refused(server, ready)
  const delayed = Validate.oneOf(OPERATION, "delayed", options.delayed ?? "wait", READY)
  if (delayed instanceof Errors.InvalidArgument) return refused(server, delayed)
  const buried = Validate.oneOf(OPERATION, "buried", options.buried ?? "report", BURIED)
  if (buried instanceof Errors.InvalidArgument) return refused(server, buried)
  const timeout = Validate.duration(OPERATION, "timeout", options.timeout ?? Duration.infinity)
  if (timeout instanceof Errors.InvalidArgument) return refused(server, timeout)
  return { ready, delayed, buried, timeout }
}

const jobsOf = ({ currentJobsBuried, currentJobsDelayed, currentJobsReady, currentJobsReserved }: ServerStats) =>
  currentJobsReady + currentJobsReserved + currentJobsDelayed + currentJobsBuried

type Put = Client["put"]

type Failure = Errors.BeanstalkdError | Errors.InvalidArgument | Effect.Error<ReturnType<Put>>

/** Moves jobs of one server. Once a copy is on its way, a move goes on to its end: half of it would be a second job. */
class Mover {
  readonly #client: Client
  readonly #put: Put
  /** The server that a copy was put on, by its name. */
  readonly #on: (server: string) => Client | undefined
  moved = 0

  constructor(client: Client, put: Put, on: (server: string) => Client | undefined) {
    this.#client = client
    this.#put = put
    this.#on = on
  }

  /** Moves what this plan says of one tube. */
  tube(tube: string, plan: Plan): Effect.Effect<void, Failure> {
    const { buried, delayed, ready } = plan
    return Effect.gen({ self: this }, function*() {
      if (ready === "move") yield* this.#ready(tube)
      if (delayed === "move") {
        yield* this.#all(this.#client.peekDelayed(tube), (job, stats) => this.#delayed(job, stats))
      }
      if (buried === "move") yield* this.#all(this.#client.peekBuried(tube), (job, stats) => this.#buried(job, stats))
    })
  }

  // Whoever reserves a job can delete it, so it is moved by its lease.
  #ready(tube: string): Effect.Effect<void, Failure> {
    const one = Effect.scoped(Effect.gen({ self: this }, function*() {
      const job = yield* this.#client.reserve(tube, { timeout: 0 })
      // Its lease has run out, so it is ready again, or somebody else's.
      const stats = yield* Effect.catchTag(job.stats, "NotFound", () => Effect.undefined)
      if (stats === undefined) return
      const { pri, ttr } = stats
      yield* Effect.uninterruptible(Effect.andThen(
        this.#put(tube, job.body, { priority: pri, ttr: Duration.seconds(ttr) }),
        Effect.catchTag(job.delete, "NotFound", () => Effect.void)
      ))
      this.moved++
    }))
    return Effect.forever(one).pipe(
      Effect.catchTags({ TimedOut: () => Effect.void, ReplyTooLarge: () => Effect.void })
    )
  }

  // The first, again and again. A job that somebody else has taken meanwhile is passed over.
  #all(
    look: Effect.Effect<
      RawJob,
      Errors.NotFound | Errors.InvalidArgument | Errors.ReplyTooLarge | Errors.BeanstalkdError
    >,
    move: (job: RawJob, stats: JobStats) => Effect.Effect<void, Failure | Errors.NotFound | Errors.ReplyTooLarge>
  ): Effect.Effect<void, Failure> {
    const one = Effect.gen({ self: this }, function*() {
      const job = yield* look
      const stats = yield* this.#client.statsJob(job.id)
      yield* Effect.uninterruptible(Effect.andThen(move(job, stats), this.#client.delete(job.id)))
      this.moved++
    })
    return Effect.forever(one).pipe(
      Effect.catchTags({ NotFound: () => Effect.void, ReplyTooLarge: () => Effect.void })
    )
  }

  #delayed(job: RawJob, { pri, timeLeft, ttr, tube }: JobStats) {
    return this.#put(tube, job.body, {
      priority: pri,
      ttr: Duration.seconds(ttr),
      delay: Duration.seconds(timeLeft)
    })
  }

  // A job cannot be put as a buried one.
  #buried(job: RawJob, { pri, ttr, tube }: JobStats) {
    return Effect.gen({ self: this }, function*() {
      const ref = yield* this.#put(tube, job.body, {
        priority: pri,
        ttr: Duration.seconds(ttr),
        delay: UNTIL_BURIED
      })
      const copy = this.#on(ref.server)
      if (copy === undefined) return
      yield* Effect.scoped(Effect.flatMap(copy.reserveJob(ref), (job) => job.bury({ priority: pri })))
    })
  }
}

/** The `drain` of a fleet. */
export const makeDrain = (members: Members, put: Put) => {
  const empty = (member: Member, plan: Plan): Effect.Effect<DrainReport, Failure> =>
    Effect.gen(function*() {
      const { client } = member
      const mover = new Mover(client, put, (server) => members.get(server)?.client)
      const before = jobsOf(yield* client.stats)
      const isDone = Effect.gen(function*() {
        for (const tube of yield* client.listTubes) yield* mover.tube(tube, plan)
        const { currentJobsDelayed, currentJobsReady, currentJobsReserved } = yield* client.stats
        return currentJobsReady + currentJobsReserved + currentJobsDelayed === 0
      })
      yield* Effect.repeat(isDone, { until: (isDone) => isDone, schedule: ASK_INTERVAL }).pipe(
        Effect.timeoutOption(plan.timeout)
      )
      const left = yield* client.stats
      const { moved } = mover
      return {
        server: member.server,
        consumed: Math.max(0, before - moved - jobsOf(left)),
        moved,
        left: {
          ready: left.currentJobsReady,
          reserved: left.currentJobsReserved,
          delayed: left.currentJobsDelayed,
          buried: left.currentJobsBuried
        }
      }
    })

  return Effect.fnUntraced(function*(server: string, options?: DrainOptions) {
    const member = members.get(server)
    if (member === undefined) return yield* noSuchServer(members, OPERATION, server)
    const plan = planOf(server, options)
    if (plan instanceof Errors.BeanstalkdError) return yield* plan
    member.isDrained = true
    members.tell(member)
    return yield* empty(member, plan)
  })
}

/** The error for a name that no server of the fleet has. */
export const noSuchServer = (members: Members, command: string, server: string): Errors.NotFound =>
  new Errors.NotFound({ command, server, detail: `not one of ${members.names}` })
