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
import * as Exit from "effect/Exit"
import * as Validate from "./internal/protocol/validate.ts"
import * as Errors from "./Errors.ts"
import type { Pipeline } from "./internal/connection/pipeline.ts"
import * as Protocol from "./Protocol.ts"
import type { Shared } from "./internal/pool/reconnectingConnection.ts"
import type { JobRef } from "./internal/protocol/jobRef.ts"
import type { JobStats } from "./Stats.ts"
import type { JobId } from "./internal/protocol/scalars.ts"

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
  /** The server that it lies on: ids are per server. */
  readonly server: string
  /** The server and the id, for what must name the job elsewhere. */
  readonly ref: JobRef
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

export { JobRef, JobRefFromString } from "./internal/protocol/jobRef.ts"

/**
 * Whoever reserved a job, and is told what becomes of it.
 */
export interface Owner {
  /** The command that settles it is on its way; what is sent now comes behind it. */
  readonly onSettling?: ((job: ReservedJob) => void) | undefined
  /** That command was refused: the job is still in hand. */
  readonly onRefused?: ((job: ReservedJob) => void) | undefined
  /** It is settled, or lost. */
  readonly onOver?: ((job: ReservedJob) => void) | undefined
  /** What is done before an effect that settled it returns, or that found it lost. */
  readonly afterwards?: Effect.Effect<void> | undefined
}

const { commands } = Protocol

type Answer<A, E> = Exit.Exit<A, E | Errors.BeanstalkdError>

/**
 * The job that `pipeline` has reserved.
 */
export class ReservedJob implements Job {
  readonly #received: Protocol.ReceivedJob
  readonly #pipeline: Pipeline
  readonly #shared: Pick<Shared, "run">
  readonly #owner: Owner
  #isOver = false
  #isLost = false
  /** The command that settled it has been answered. */
  #isSettled = false
  #known: JobStats | undefined

  constructor(received: Protocol.ReceivedJob, pipeline: Pipeline, shared: Pick<Shared, "run">, owner: Owner) {
    this.#received = received
    this.#pipeline = pipeline
    this.#shared = shared
    this.#owner = owner
  }

  get id(): JobId {
    return this.#received.id
  }

  get server(): string {
    return this.#received.server
  }

  get ref(): JobRef {
    return this.#received.ref
  }

  get body(): Uint8Array {
    return this.#received.body
  }

  get text(): string {
    return this.#received.text
  }

  /** Whether it is settled, on the way to that, or lost. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** Whether its time ran out, or its connection was lost, while nobody settled it. */
  get isLost(): boolean {
    return this.#isLost
  }

  /** Its statistics, if they have been asked for. */
  get known(): JobStats | undefined {
    return this.#known
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Effects
  // -------------------------------------------------------------------------------------------------------------------

  get delete(): Effect.Effect<void, Protocol.Failure<"delete">> {
    return this.#settled((resume) => this.settle(commands.delete, [this.id], resume))
  }

  release(options: ReleaseOptions = {}): Effect.Effect<void, Protocol.Failure<"release">> {
    return this.#settled((resume) =>
      this.#settleWithPriority<ReleaseOptions, Protocol.Failure<"release">>(
        commands.release,
        options,
        ["priority", "delay"],
        resume
      )
    )
  }

  bury(options: BuryOptions = {}): Effect.Effect<void, Protocol.Failure<"bury">> {
    return this.#settled((resume) => this.#settleWithPriority(commands.bury, options, ["priority"], resume))
  }

  get touch(): Effect.Effect<void, Protocol.Failure<"touch">> {
    return Effect.suspend(() => this.#isOver ? this.#gone("touch") : this.#pipeline.run(commands.touch, this.id)).pipe(
      Effect.tapErrorTag("NotFound", () =>
        Effect.suspend(() => {
          if (this.#isOver) return Effect.void
          this.lose()
          return this.#afterwards
        }))
    )
  }

  get stats(): Effect.Effect<JobStats, Protocol.Failure<"statsJob">> {
    return Effect.tap(
      this.#shared.run(commands.statsJob, this.id),
      (stats) => Effect.sync(() => this.#known ??= stats)
    )
  }

  get tube(): Effect.Effect<string, Protocol.Failure<"statsJob">> {
    return Effect.map(this.#statsOnce, ({ tube }) => tube)
  }

  get attempt(): Effect.Effect<number, Protocol.Failure<"statsJob">> {
    return Effect.map(this.#statsOnce, ({ reserves }) => reserves)
  }

  get #statsOnce(): Effect.Effect<JobStats, Protocol.Failure<"statsJob">> {
    return Effect.suspend(() => this.#known === undefined ? this.stats : Effect.succeed(this.#known))
  }

  /** Releases it, unless it is settled; the connection is closed if that fails, which releases it as well. */
  get end(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.#isOver) return Effect.void
      return Effect.catchTags(this.release(), {
        // Its time has run out meanwhile, or it was buried: nobody is left without it.
        NotFound: () => Effect.void,
        JobBuried: () => Effect.void,
        InvalidArgument: Effect.die,
        BeanstalkdError: ({ reason }) => Effect.sync(() => this.#pipeline.die(reason))
      })
    })
  }

  // Not interruptible: it takes a round trip, and afterwards one must know whether the job is settled.
  #settled<E>(
    settle: (resume: (answer: Exit.Exit<void, E>) => void) => void
  ): Effect.Effect<void, E> {
    return Effect.uninterruptible(
      Effect.onExit(Effect.callback<void, E>(settle), () => this.#isSettled ? this.#afterwards : Effect.void)
    )
  }

  get #afterwards(): Effect.Effect<void> {
    return this.#owner.afterwards ?? Effect.void
  }

  #gone(command: string): Exit.Exit<never, Errors.NotFound> {
    const detail = "this handle of it was settled, or its time ran out"
    return Exit.fail(new Errors.NotFound({ command, server: this.#pipeline.server, id: this.id, detail }))
  }

  // -------------------------------------------------------------------------------------------------------------------
  // The same without effects
  // -------------------------------------------------------------------------------------------------------------------

  /** Its time has run out: whatever the handle does from now on, it must not do to the next lease of the job. */
  lose(): void {
    if (this.#isOver) return
    this.#isOver = this.#isLost = true
    this.#owner.onOver?.(this)
  }

  /** Ends the lease with this command, unless it is over, and calls `resume` once. */
  settle<Args extends ReadonlyArray<unknown>, Invalid, E>(
    command: Protocol.Command<Args, Invalid, void, E>,
    args: Args,
    resume: (answer: Answer<void, Invalid | E | Errors.NotFound>) => void
  ): void {
    if (this.#isOver) return resume(this.#gone(command.name))
    this.#isOver = true
    this.#send(command, args, resume)
  }

  // Without a priority the job keeps its own, which has to be asked for. The other arguments are checked before that.
  #settleWithPriority<O extends Protocol.BuryOptions, E>(
    command: Protocol.Command<[id: JobId, options?: O | undefined], Errors.InvalidArgument, void, E>,
    options: O,
    names: ReadonlyArray<keyof O>,
    resume: (answer: Answer<void, Errors.InvalidArgument | Errors.NotFound | E>) => void
  ): void {
    const own = Validate.snapshot(command.name, options, names)
    if (this.#isOver) return resume(this.#gone(command.name))
    if (own instanceof Errors.InvalidArgument) return resume(Exit.fail(own))
    const request = Protocol.encode(command, [this.id, own as O])
    if (request instanceof Errors.InvalidArgument) return resume(Exit.fail(request))
    const priority = own.priority ?? this.#known?.pri
    if (priority !== undefined) return this.settle(command, [this.id, { ...own as O, priority }], resume)
    this.#isOver = true
    this.inspect((answer) => {
      if (Exit.isSuccess(answer)) {
        return this.#send(command, [this.id, { ...own as O, priority: answer.value.pri }], resume)
      }
      this.#onSettleExit(Exit.failCause(answer.cause), resume)
    })
  }

  #send<Args extends ReadonlyArray<unknown>, Invalid, E>(
    command: Protocol.Command<Args, Invalid, void, E>,
    args: Args,
    resume: (answer: Answer<void, Invalid | E>) => void
  ): void {
    this.#pipeline.start(command, args, (answer) => this.#onSettleExit(answer, resume))
    this.#owner.onSettling?.(this)
  }

  #onSettleExit<E>(answer: Answer<void, E>, resume: (answer: Answer<void, E>) => void): void {
    // Refused, with the job still in hand: it can be tried again, and the end of the Scope takes care of it.
    if (this.#pipeline.death === undefined && this.#pipeline.session.held.has(this.id)) {
      this.#isOver = false
      this.#owner.onRefused?.(this)
    } else {
      this.#isSettled = true
      this.#owner.onOver?.(this)
    }
    resume(answer)
  }

  /** Asks for its statistics, and keeps them. */
  inspect(resume: (answer: Answer<JobStats, Protocol.Failure<"statsJob">>) => void): void {
    this.#pipeline.start(commands.statsJob, [this.id], (answer) => {
      if (Exit.isSuccess(answer)) this.#known ??= answer.value
      resume(answer)
    })
  }
}
