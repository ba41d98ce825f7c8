/**
 * A job that a connection of this client has reserved: the Effects of `Job` over a `Lease`.
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Inspectable from "effect/Inspectable"
import * as Errors from "../../Errors.ts"
import type { BuryOptions, Job, ReleaseOptions } from "../../Job.ts"
import { type Command, commands, type Failure, type RawJob } from "../../Protocol.ts"
import type { JobStats } from "../../Stats.ts"
import type { Pipeline } from "../connection/pipeline.ts"
import type { JobRef } from "../protocol/jobRef.ts"
import type { JobId } from "../protocol/scalars.ts"
import { type CommandExit, type JobCounters, Lease, type LeaseOrigin, type Loss } from "./lease.ts"

/** What marks a reserved job, for `Job.isJob`. */
export const TypeId = "~effect-beanstalkd/Job"

/** Where jobs come from: what those of one connection have in common. */
export interface JobOrigin extends LeaseOrigin<ReservedJob> {
  /** Answers questions about a job while its own connection is busy, or gone. */
  readonly shared: Pick<Pipeline, "run">
  /** The tube, if the connection watches no other. */
  readonly tube?: string | undefined
  /** What is done before an Effect returns that settled the job, or that found it lost. */
  readonly afterwards?: Effect.Effect<void> | undefined
}

/** How a job is printed. */
export const nameOf = ({ ref }: Pick<Job, "ref">): string => `Job(${ref.toString()})`

/**
 * The job that the connection of `origin` has reserved.
 */
export class ReservedJob extends Inspectable.Class implements Job {
  readonly #origin: JobOrigin
  readonly #lease: Lease<ReservedJob>
  /** The tube, once the server has told it. */
  #tube: string | undefined

  constructor(received: RawJob, origin: JobOrigin) {
    super()
    this.#origin = origin
    this.#lease = new Lease<ReservedJob>(received, origin, this)
  }

  get [TypeId](): typeof TypeId {
    return TypeId
  }

  get server(): string {
    return this.#lease.received.server
  }

  get id(): JobId {
    return this.#lease.received.id
  }

  get ref(): JobRef {
    return this.#lease.received.ref
  }

  get body(): Uint8Array {
    return this.#lease.received.body
  }

  get text(): string {
    return this.#lease.received.text
  }

  override toString(): string {
    return nameOf(this)
  }

  override toJSON(): unknown {
    const { id, server } = this
    return { _id: "Job", server, id, state: this.#lease.state }
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Effects
  // -------------------------------------------------------------------------------------------------------------------

  get delete(): Effect.Effect<void, Failure<"delete">> {
    return this.#settled((resume) => this.#lease.settle(commands.delete, [this.id], resume))
  }

  release(options: ReleaseOptions = {}): Effect.Effect<void, Failure<"release">> {
    return this.#settled((resume) => this.#lease.release(options, resume))
  }

  bury(options: BuryOptions = {}): Effect.Effect<void, Failure<"bury">> {
    return this.#settled((resume) => this.#lease.bury(options, resume))
  }

  get touch(): Effect.Effect<void, Failure<"touch">> {
    return Effect.suspend(() =>
      this.isOver ? this.#lease.gone("touch") : this.#origin.pipeline.run(commands.touch, this.id)
    ).pipe(
      Effect.tapErrorTag("NotFound", () =>
        Effect.suspend(() => {
          if (this.isOver) return Effect.void
          this.lose("expired")
          return this.#afterwards
        }))
    )
  }

  get lost(): Effect.Effect<never, Errors.NotFound> {
    return Effect.callback((resume) => {
      const hear = () => {
        const detail = `its lease was lost: ${this.describeLoss()}`
        resume(Effect.fail(new Errors.NotFound({ command: "touch", server: this.server, id: this.id, detail })))
      }
      const forgetDeath = this.#origin.pipeline.onDeath(() => {
        if (this.#lease.state === "held") hear()
      })
      const forgetEnd = this.#lease.whenOver(() => {
        forgetDeath()
        if (this.isLost) hear()
      })
      return Effect.sync(() => {
        forgetDeath()
        forgetEnd()
      })
    })
  }

  get stats(): Effect.Effect<JobStats, Failure<"statsJob">> {
    return Effect.tap(
      this.#origin.shared.run(commands.statsJob, this.id),
      (stats) =>
        Effect.sync(() => {
          this.#tube = stats.tube
          this.#lease.know(stats)
        })
    )
  }

  get tube(): Effect.Effect<string, Failure<"statsJob">> {
    const { tube } = this.#origin
    if (tube !== undefined) return Effect.succeed(tube)
    return Effect.suspend(() => {
      const told = this.#tube
      return told === undefined ? Effect.map(this.stats, ({ tube }) => tube) : Effect.succeed(told)
    })
  }

  get attempt(): Effect.Effect<number, Failure<"statsJob">> {
    return Effect.suspend((): Effect.Effect<{ readonly reserves: number }, Failure<"statsJob">> =>
      this.known === undefined ? this.stats : Effect.succeed(this.known)
    ).pipe(Effect.map(({ reserves }) => reserves))
  }

  /** Releases the job, unless it is settled. If that fails, its connection is closed, which releases it as well. */
  get end(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.isOver) return Effect.void
      return Effect.catchTags(this.release(), {
        // Its ttr has run out meanwhile, or the server could only bury it: in either case nobody holds it any more.
        NotFound: () => Effect.void,
        JobBuried: () => Effect.void,
        InvalidArgument: Effect.die,
        BeanstalkdError: ({ reason }) => Effect.sync(() => this.abandon(reason))
      })
    })
  }

  // Not interruptible: it takes a round trip, and the caller must learn whether the job was settled.
  #settled<E>(settle: (resume: (exit: Exit.Exit<void, E>) => void) => void): Effect.Effect<void, E> {
    return Effect.uninterruptible(
      Effect.onExit(
        Effect.callback<void, E>(settle),
        () => this.#lease.state === "settled" ? this.#afterwards : Effect.void
      )
    )
  }

  get #afterwards(): Effect.Effect<void> {
    return this.#origin.afterwards ?? Effect.void
  }

  // -------------------------------------------------------------------------------------------------------------------
  // The same without Effects
  // -------------------------------------------------------------------------------------------------------------------

  /** Whether it is settled, on the way to that, or lost. */
  get isOver(): boolean {
    return this.#lease.state !== "held"
  }

  /** The name of the command that settled it, or is about to. */
  get settledBy(): string | undefined {
    return this.#lease.settledBy
  }

  /** Whether its ttr ran out, or its connection was lost, before anybody settled it. */
  get isLost(): boolean {
    return this.#lease.state === "lost"
  }

  /** How it was lost, if it was. */
  get loss(): Loss | undefined {
    return this.#lease.loss
  }

  /** How its lease was lost, in words. */
  describeLoss(): string {
    const { death } = this.#origin.pipeline
    if (this.#lease.loss === "expired" || death === undefined) return "its time ran out"
    return `its connection was lost: ${death.message}`
  }

  /** Its counters, if anybody has asked for them. */
  get known(): JobCounters | undefined {
    return this.#lease.known
  }

  /** See `Lease.lose`. */
  lose(loss: Loss): void {
    this.#lease.lose(loss)
  }

  /** See `Lease.settle`. */
  settle<Args extends ReadonlyArray<unknown>, Invalid, E>(
    command: Command<Args, Invalid, void, E>,
    args: Args,
    resume: (exit: CommandExit<void, Invalid | E | Errors.NotFound>) => void
  ): void {
    this.#lease.settle(command, args, resume)
  }

  /** Deletes the job although its lease is lost, which works on its connection while nobody else has it. */
  deleteLate(resume: (exit: CommandExit<void, Failure<"delete">>) => void): void {
    this.#origin.pipeline.start(commands.delete, [this.id], resume)
  }

  /** See `Lease.inspect`. */
  inspect(resume: (exit: CommandExit<JobCounters, Failure<"statsJob">>) => void): void {
    this.#lease.inspect(resume)
  }

  /** See `Lease.whenOver`. */
  whenOver(hook: () => void): () => void {
    return this.#lease.whenOver(hook)
  }

  /** Makes the end of its connection the end of its lease. Returns a function that forgets that. */
  loseWithConnection(): () => void {
    return this.#origin.pipeline.onDeath(() => this.lose("connection"))
  }

  /** Closes the connection on which the job was reserved: the server then has it back, unless it is settled. */
  abandon(reason: Errors.BeanstalkdErrorReason): void {
    this.#origin.pipeline.die(reason)
  }
}
