/**
 * Reserving for somebody who takes many jobs: over as few connections as it needs, and never more jobs than there is room
 * for. `Consumer` and `Worker` are built on it.
 *
 * A connection that waits in a reserve answers nothing else, and a job can be settled only where it was reserved. So one
 * connection waits while it holds no job; after a hit it asks for 1, 2, 4, ... more without waiting, as long as it hits.
 * What settles a job is followed at once, on its connection, by a reserve for the room that it leaves. After a miss
 * another connection without a job becomes the one that waits. If all have jobs, the one with the fewest asks now and then.
 *
 * All of it is synchronous, below the level of effects: when replies come, when there is room, when a timer rings.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Errors from "../../Errors.ts"
import { type Owner, ReservedJob } from "../../Job.ts"
import { CLOSED_BY_SCOPE, type Pipeline } from "../connection/pipeline.ts"
import { RESERVE_SLICE_SECONDS } from "../connection/reserveSliced.ts"
import type { Pool } from "../../Pool.ts"
import { commands, type RawJob } from "../../Protocol.ts"
import type { JobId } from "../protocol/scalars.ts"

/** Who takes the jobs, and from where. */
export interface Settings {
  readonly pool: Pool
  readonly tubes: ReadonlyArray<string>
  readonly maxConnections: number
  /** How many more jobs may be asked for now; `taken` of the intake is what is in use already. */
  readonly room: () => number
  readonly onJob: (job: ReservedJob) => void
  /** It is settled, or lost. */
  readonly onOver: (job: ReservedJob) => void
  /** Whether the room that this job leaves may be used as soon as the command that settles it is on its way. */
  readonly mayReuse: (job: ReservedJob) => boolean
  /** Whether it is touched when the server says that time runs out. */
  readonly isKept: (job: ReservedJob) => boolean
  /** There is no server, and the schedule says not to dial again. */
  readonly onFailure: (error: Errors.BeanstalkdError) => void
}

const SLICE_MILLIS = RESERVE_SLICE_SECONDS * 1000

// How often the connection with the fewest jobs asks when no connection can wait.
const POLL = "20 millis"

const SILENT_AS_ANOTHER = new Errors.ConnectionClosed({ detail: "it was idle when another one had become silent" })

/** One connection. */
interface Line {
  readonly pipeline: Pipeline
  /** Of all its jobs. */
  readonly owner: Owner
  readonly held: Map<JobId, ReservedJob>
  /** Whether it waits in a reserve. */
  isWaiting: boolean
  /** Reserves that do not wait and have not been answered. */
  asked: number
  /** Whether its last reserve brought a job. */
  isHot: boolean
  /** How many it may ask for at a time. */
  batch: number
  /** Whether its last reserve was answered, be it without a job; neither before the first, nor after a refusal. */
  isSound: boolean
}

type Reserved = Exit.Exit<RawJob, unknown>

/** Forks fibers that end with the Scope. */
export const forkerIn = Effect.fnUntraced(function*(scope: Scope.Scope) {
  const fibers = yield* Scope.fork(scope)
  const run = Effect.runForkWith(yield* Effect.context())
  return (effect: Effect.Effect<void>): Fiber.Fiber<void> => Fiber.runIn(run(effect), fibers)
})

/** Reserves until it is stopped, or its Scope is closed, which gives back at once what is in hand. */
export class Intake {
  readonly #settings: Settings
  readonly #scope: Scope.Scope
  readonly #fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  readonly #lines = new Set<Line>()
  /** Reserves that have not been answered. */
  #asked = 0
  #unsettled = 0
  #isOpening = false
  #isStopped = false
  #polling: Fiber.Fiber<void> | undefined
  #isFilling = false
  /** Nothing has happened since all was asked for that could be. */
  #isFull = false
  /** The pauses between dials, as long as none has led to an answer. */
  #pause: ((error: Errors.BeanstalkdError) => Effect.Effect<unknown, Errors.BeanstalkdError>) | undefined

  constructor(settings: Settings, scope: Scope.Scope, fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>) {
    this.#settings = settings
    this.#scope = scope
    this.#fork = fork
  }

  /** How many jobs are in hand or asked for. */
  get taken(): number {
    return this.#asked + this.#unsettled
  }

  /** How many reserves are on their way. */
  get asked(): number {
    return this.#asked
  }

  /** Reserves as many as there is room for. To be called whenever there may be more. */
  fill(): void {
    this.#isFull = false
    if (this.#isFilling) return
    this.#isFilling = true
    while (!this.#isFull) {
      this.#isFull = true
      if (this.#isStopped) this.#closeIdle()
      else this.#reserveMore()
    }
    this.#isFilling = false
  }

  /** Takes no more jobs. Connections without one are closed, the others when theirs are settled. */
  stop(): void {
    this.#isStopped = true
    this.#polling?.interruptUnsafe()
    this.fill()
  }

  #closeIdle(): void {
    for (const line of this.#lines) {
      if (line.held.size === 0 && line.asked === 0) line.pipeline.die(CLOSED_BY_SCOPE)
    }
  }

  // A network that swallows everything does so on all connections, and each that waits would take its whole time to notice.
  #suspectIdle(): void {
    for (const line of this.#lines) {
      if (line.held.size === 0 && line.asked === 0 && !line.isWaiting) line.pipeline.die(SILENT_AS_ANOTHER)
    }
  }

  #reserveMore(): void {
    for (const line of this.#lines) {
      if (line.isHot) this.#askMore(line)
    }
    // While somebody waits there is nothing to be had, and what is asked for may yet come.
    if (this.#asked > 0 || this.#settings.room() <= 0) return
    const idle = this.#find((line) => line.held.size === 0)
    if (idle !== undefined) this.#wait(idle)
    else if (this.#lines.size < this.#settings.maxConnections) this.#open()
    else this.#poll()
  }

  #find(test: (line: Line) => boolean): Line | undefined {
    for (const line of this.#lines) if (test(line)) return line
    return undefined
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Reserving
  // -------------------------------------------------------------------------------------------------------------------

  #wait(line: Line): void {
    line.isWaiting = true
    this.#asked++
    line.pipeline.start(commands.reserveWithTimeout, [SLICE_MILLIS], (answer) => {
      line.isWaiting = false
      this.#onAnswer(line, answer, 1)
    })
  }

  #askMore(line: Line): void {
    for (let more = Math.min(this.#settings.room(), line.batch - line.asked); more > 0 && line.isHot; more--) {
      this.#ask(line)
    }
  }

  #ask(line: Line): void {
    line.asked++
    this.#asked++
    line.pipeline.start(commands.reserveWithTimeout, [0], (answer) => {
      line.asked--
      this.#onAnswer(line, answer, line.batch + 1)
    })
  }

  #onAnswer(line: Line, answer: Reserved, nextBatch: number): void {
    // The server has taken it back meanwhile: the older handle must not settle the new lease. Nor does it make room for
    // another job, so the reserve counts until it has gone.
    if (Exit.isSuccess(answer)) line.held.get(answer.value.id)?.lose()
    this.#asked--
    line.isHot = Exit.isSuccess(answer)
    line.batch = line.isHot ? nextBatch : 1
    const error = Exit.isFailure(answer) ? Cause.squash(answer.cause) : undefined
    line.isSound = !(error instanceof Errors.BeanstalkdError)
    if (Exit.isSuccess(answer)) this.#onReserved(line, answer.value)
    else if (error instanceof Errors.DeadlineSoon) this.#touchKept(line)
    else if (error instanceof Errors.BeanstalkdError) this.#onRefusal(line, error.reason)
    this.fill()
  }

  // A server that is out of order is not to be asked over and over: unless there are jobs to be lost, the connection is
  // replaced by another, which is dialled as if this one could not be opened.
  #onRefusal(line: Line, cause: Errors.BeanstalkdErrorReason): void {
    if (cause._tag === "UnexpectedReply" && cause.tornJob !== undefined) this.#fork(this.#deleteTorn(cause.tornJob))
    if (line.held.size > 0 || line.asked > 0) return
    line.pipeline.die(new Errors.ConnectionClosed({ detail: "a reserve was refused", cause }))
  }

  // Whoever reserves it loses the connection, with all jobs in hand, so it must go. As long as the server has not seen the
  // end of that connection, it is not found.
  #deleteTorn(id: JobId): Effect.Effect<void> {
    return this.#settings.pool.shared.run(commands.delete, id).pipe(
      Effect.retry({ while: (error) => error._tag === "NotFound", schedule: Schedule.spaced("10 millis"), times: 10 }),
      Effect.andThen(Effect.logError("deleted: the server came back with nothing of it but its length")),
      Effect.annotateLogs({ tubes: this.#settings.tubes, job: id }),
      // Somebody else has met it, or will again.
      Effect.ignore
    )
  }

  #onReserved(line: Line, received: RawJob): void {
    const job = new ReservedJob(received, line.pipeline, this.#settings.pool.shared, line.owner)
    // The older handle may still be there, on the way to being settled.
    if (line.held.has(job.id)) line.held.set(job.id, job)
    else this.#hold(line, job)
    if (this.#isStopped) this.#fork(job.end)
    else this.#settings.onJob(job)
  }

  #hold(line: Line, job: ReservedJob): void {
    if (line.held.has(job.id)) return
    line.held.set(job.id, job)
    this.#unsettled++
  }

  #letGo(line: Line, job: ReservedJob): boolean {
    if (line.held.get(job.id) !== job) return false
    line.held.delete(job.id)
    this.#unsettled--
    return true
  }

  // The server reads in order: by the time it comes to the reserve, the job is settled.
  #onSettling(line: Line, job: ReservedJob): void {
    if (this.#isStopped || !line.isHot || line.asked >= line.batch || !this.#settings.mayReuse(job)) return
    if (this.#letGo(line, job)) this.#ask(line)
  }

  #onOver(line: Line, job: ReservedJob): void {
    this.#letGo(line, job)
    this.#settings.onOver(job)
    this.fill()
  }

  #touchKept(line: Line): void {
    for (const job of line.held.values()) {
      if (this.#settings.isKept(job)) this.#fork(Effect.ignore(job.touch))
    }
  }

  #poll(): void {
    if (this.#polling !== undefined) return
    const ask = Effect.sync(() => {
      this.#polling = undefined
      if (this.#isStopped || this.#asked > 0 || this.#settings.room() <= 0) return
      const lines = [...this.#lines].sort((a, b) => a.held.size - b.held.size)
      if (lines[0] !== undefined) this.#ask(lines[0])
    })
    this.#polling = this.#fork(Effect.andThen(Effect.sleep(POLL), ask))
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Connections
  // -------------------------------------------------------------------------------------------------------------------

  #open(): void {
    if (this.#isOpening) return
    this.#isOpening = true
    const opened = this.#dial().pipe(
      Effect.matchCause({
        onFailure: (cause) => {
          this.#isOpening = false
          const error = Cause.squash(cause)
          if (error instanceof Errors.BeanstalkdError) this.#settings.onFailure(error)
        },
        onSuccess: () => {
          this.#isOpening = false
          this.fill()
        }
      })
    )
    this.#fork(opened)
  }

  #dial(): Effect.Effect<void, Errors.BeanstalkdError> {
    const { pool, tubes } = this.#settings
    const attempt = Effect.uninterruptibleMask((restore) =>
      Effect.gen({ self: this }, function*() {
        const own = yield* Scope.fork(this.#scope)
        const pipeline = yield* restore(Scope.provide(pool.open(tubes), own)).pipe(
          Effect.onError((cause) => Scope.close(own, Exit.failCause(cause)))
        )
        this.#add(pipeline, own)
      })
    )
    return this.#pauseIfTurnedAway.pipe(
      Effect.andThen(attempt),
      Effect.catchIf(
        (error) => error.isRetryable && error.reason !== CLOSED_BY_SCOPE,
        (error) => Effect.andThen(this.#afterFailure(error), this.#dial())
      )
    )
  }

  #wasTurnedAway: Errors.BeanstalkdError | undefined

  get #pauseIfTurnedAway(): Effect.Effect<void, Errors.BeanstalkdError> {
    return Effect.suspend(() => {
      const error = this.#wasTurnedAway
      this.#wasTurnedAway = undefined
      return error === undefined ? Effect.void : this.#afterFailure(error)
    })
  }

  #afterFailure(error: Errors.BeanstalkdError): Effect.Effect<void, Errors.BeanstalkdError> {
    return Effect.gen({ self: this }, function*() {
      if (this.#pause === undefined) {
        const step = yield* Schedule.toStepWithSleep(this.#settings.pool.reconnect)
        this.#pause = (error) => Pull.catchDone(step(error), () => Effect.fail(error))
      }
      yield* this.#pause(error)
    })
  }

  #add(pipeline: Pipeline, own: Scope.Closeable): void {
    const owner: Owner = {
      onSettling: (job) => this.#onSettling(line, job),
      onRefused: (job) => this.#hold(line, job),
      onOver: (job) => this.#onOver(line, job)
    }
    const line: Line = {
      pipeline,
      owner,
      held: new Map(),
      isWaiting: false,
      asked: 0,
      isHot: false,
      batch: 1,
      isSound: false
    }
    this.#lines.add(line)
    pipeline.onDeath(() => {
      this.#lines.delete(line)
      line.isHot = false
      if (line.isSound) this.#pause = undefined
      else this.#wasTurnedAway = this.#lost(pipeline)
      for (const job of line.held.values()) job.lose()
      if (pipeline.death?._tag === "CommandTimeout") this.#suspectIdle()
      this.#fork(Scope.close(own, Exit.void))
      this.fill()
    })
  }

  #lost({ death, server }: Pipeline): Errors.BeanstalkdError {
    const reason = death ?? new Errors.ConnectionClosed({ detail: "the server closed it" })
    return new Errors.BeanstalkdError({ command: "connect", server, sent: false, reason })
  }
}

/** An intake that lives in the Scope. */
export const make = Effect.fnUntraced(function*(settings: Settings): Effect.fn.Return<Intake, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const fork = yield* forkerIn(scope)
  const intake = new Intake(settings, yield* Scope.fork(scope), fork)
  // Added last, so that it runs first: what ends with the Scope must not be replaced.
  yield* Scope.addFinalizer(scope, Effect.sync(() => intake.stop()))
  return intake
})
