/**
 * Reserves jobs for a stream or a worker, from one server: over as few connections as it needs, and never more jobs than
 * there is room for. `plan.ts` says what to do, a `FetchConnection` does it.
 *
 * All of it is synchronous, below the level of Effects: when replies come, when there is room, when a timer ends.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Errors from "../../Errors.ts"
import { commands } from "../../Protocol.ts"
import { CLOSED_BY_SCOPE, RESERVE_INTERRUPTED } from "../connection/endings.ts"
import type { Pipeline } from "../connection/pipeline.ts"
import type { ReservedJob } from "../job/reservedJob.ts"
import type { Contact } from "../pool/contact.ts"
import { closedBeforeFirstReply, DialBackoff, lossOf, type Reconnect } from "../pool/dialBackoff.ts"
import type { JobId } from "../protocol/scalars.ts"
import { FetchConnection, type FetchListener } from "./fetchConnection.ts"
import { FetchCounts } from "./fetchCounts.ts"
import type { Intake, IntakeSettings } from "./intake.ts"
import { buryOversized } from "./oversizedJob.ts"
import { fewestJobs, next, type Situation, type Step } from "./plan.ts"
import { type ScopedFork, scopedFork } from "./scopedFork.ts"
import { deleteTorn } from "./tornJob.ts"

/** The server that a fetcher takes jobs from. */
export interface FetchSource {
  /** Opens a connection that watches exactly these tubes. */
  readonly open: (tubes: ReadonlyArray<string>) => Effect.Effect<Pipeline, Errors.BeanstalkdError, Scope.Scope>
  /** When to dial again after a failed dial. */
  readonly reconnect: Reconnect
  /** Logs what the server refuses. */
  readonly contact: Pick<Contact, "onRefusal">
  /** The connection for commands that need none of their own. */
  readonly shared: Pick<Pipeline, "run">
}

/** Who shares the room of a fetcher with others. */
export interface FetchControl {
  /** What all of them have taken together. */
  readonly all: FetchCounts
  /** Whether a reserve may wait for a job, and hold its room until one comes. */
  readonly mayWait: () => boolean
  /** What {@link Fetcher.isHot} or {@link Fetcher.isWaiting} says may have changed. */
  readonly onChange: () => void
}

// How long the end waits for the last answers. The server cannot tell a job whose connection is closed from one that has
// crashed its worker, so all jobs are released before that.
const LAST_ANSWERS = "1 second"

// Shorter would cost a round trip more often while there is nothing to be had; longer would let a job wait for it.
const POLL_INTERVAL = "20 millis"
// A connection that holds jobs is not closed when the server refuses its reserve, but must not ask that often either.
const POLL_INTERVAL_REFUSED = "1 second"

const SILENT_AS_ANOTHER = new Errors.ConnectionClosed({ detail: "it was idle when another one had become silent" })

const onlyTube = (tubes: ReadonlyArray<string>): string | undefined => new Set(tubes).size === 1 ? tubes[0] : undefined

// Somebody else may be settling the job: the connection must not be closed before the answer.
const ended = (job: ReservedJob, giveBack: Effect.Effect<void>): Effect.Effect<void> =>
  Effect.andThen(giveBack, Effect.callback<void>((resume) => void job.whenOver(() => resume(Effect.void))))

/** Reserves until it is stopped. The end of its Scope releases the jobs in hand and closes its connections. */
export class Fetcher implements Intake, Situation<FetchConnection>, FetchListener {
  readonly #source: FetchSource
  readonly #settings: IntakeSettings
  readonly #scope: Scope.Scope
  readonly #fork: ScopedFork
  readonly #backoff: DialBackoff
  readonly connections = new Set<FetchConnection>()
  readonly counts: FetchCounts
  readonly #control: FetchControl | undefined
  readonly #origin: { readonly shared: Pick<Pipeline, "run">; readonly tube: string | undefined }
  #dialing: "no" | "yes" | "never again" = "no"
  #polling: Fiber.Fiber<void> | undefined
  /** Jobs that came too late and are being released. */
  #late = 0
  #isStopped = false
  /** The server has become silent. It may carry out what it does not answer, and a job that nobody sees looks like a crash. */
  #mustAnswer = false
  #onLastAnswer = () => {}
  #isFilling = false

  constructor(
    source: FetchSource,
    settings: IntakeSettings,
    scope: Scope.Scope,
    fork: ScopedFork,
    backoff: DialBackoff,
    control: FetchControl | undefined
  ) {
    this.#source = source
    this.#settings = settings
    this.#scope = scope
    this.#fork = fork
    this.#backoff = backoff
    this.#control = control
    this.counts = new FetchCounts(control?.all)
    this.#origin = { shared: source.shared, tube: onlyTube(settings.tubes) }
  }

  get taken(): number {
    return this.counts.taken
  }

  get asked(): number {
    return this.counts.asked
  }

  get room(): number {
    return this.#settings.room()
  }

  get max(): number {
    return this.#settings.maxConnections
  }

  get isOpening(): boolean {
    return this.#dialing !== "no"
  }

  get mayWait(): boolean {
    return this.#control === undefined || this.#control.mayWait()
  }

  /** Whether the last reserve on one of its connections brought a job. */
  get isHot(): boolean {
    for (const { lastHit } of this.connections) if (lastHit) return true
    return false
  }

  /** The jobs that take room. */
  *held(): Iterable<ReservedJob> {
    for (const { held } of this.connections) yield* held.values()
  }

  get isPolling(): boolean {
    return this.#polling !== undefined
  }

  fill(): void {
    // What happens meanwhile is seen by the loop below, which asks the plan until there is nothing to do.
    if (this.#isFilling) return
    this.#isFilling = true
    while (!this.#isStopped) {
      const step = next(this)
      if (step._tag === "Nothing") break
      this.#perform(step)
    }
    if (this.#isStopped) this.#closeIdle()
    this.#isFilling = false
  }

  /** Asks for one job that is ready now, unless it has asked already. It opens a connection if there is none. */
  probe(): void {
    if (this.#isStopped || this.asked > 0) return
    const connection = fewestJobs(this.connections)
    if (connection !== undefined) connection.ask()
    else if (!this.isOpening) this.#open()
  }

  /** Gives back the room of a reserve that waits, which only the end of its connection does. */
  unwait(): void {
    for (const { isWaiting, pipeline } of this.connections) if (isWaiting) pipeline.die(RESERVE_INTERRUPTED)
  }

  stop(): void {
    this.#isStopped = true
    this.#polling?.interruptUnsafe()
    this.fill()
  }

  /** After {@link stop}: waits until all reserves are answered and all jobs released. */
  get givenBack(): Effect.Effect<void> {
    const answered = Effect.callback<void>((resume) => {
      this.#onLastAnswer = () => resume(Effect.void)
      this.#noticeLastAnswer()
    })
    const held = Effect.suspend(() =>
      Effect.forEach([...this.held()], (job) => ended(job, this.#settings.giveBack?.(job) ?? job.end), {
        concurrency: "unbounded",
        discard: true
      })
    )
    return Effect.interruptible(Effect.andThen(answered, held))
  }

  #noticeLastAnswer(): void {
    if (this.asked === 0 && this.#late === 0) this.#onLastAnswer()
  }

  #perform(step: Step<FetchConnection>): void {
    switch (step._tag) {
      case "Ask":
        return step.connection.askFor(step.count)
      case "Wait":
        return step.connection.wait()
      case "Open":
        return this.#open()
      case "Poll":
        return this.#poll()
    }
  }

  #closeIdle(): void {
    for (const connection of this.connections) {
      if (connection.isIdle) connection.pipeline.die(CLOSED_BY_SCOPE)
    }
  }

  // After one command timeout, idle connections are suspect too: a network that swallows everything does so on all of
  // them. Waiting on one after the other would take a whole timeout each.
  #closeSuspects(): void {
    for (const connection of this.connections) {
      if (connection.isIdle && !connection.isWaiting) connection.pipeline.die(SILENT_AS_ANOTHER)
    }
  }

  #poll(): void {
    const ask = Effect.sync(() => {
      this.#polling = undefined
      if (this.#isStopped || this.asked > 0 || this.room <= 0) return
      fewestJobs(this.connections)?.ask()
    })
    const isRefused = fewestJobs(this.connections)?.isRefused === true
    this.#polling = this.#fork(Effect.andThen(Effect.sleep(isRefused ? POLL_INTERVAL_REFUSED : POLL_INTERVAL), ask))
  }

  // -------------------------------------------------------------------------------------------------------------------
  // What connections tell
  // -------------------------------------------------------------------------------------------------------------------

  onJob(job: ReservedJob): void {
    if (!this.#isStopped) return this.#settings.onJob(job)
    this.#late++
    this.#fork(this.#settings.giveBack?.(job) ?? Effect.ignore(job.release())).addObserver(() => {
      this.#late--
      this.#noticeLastAnswer()
    })
  }

  onOver(job: ReservedJob): void {
    this.#settings.onOver(job)
    this.fill()
  }

  mayReuse(job: ReservedJob): boolean {
    return !this.#isStopped && this.#settings.mayReuse(job)
  }

  onDeadlineSoon(connection: FetchConnection): void {
    for (const job of connection.held.values()) {
      if (this.#settings.isKept(job)) this.#fork(Effect.ignore(job.touch))
    }
  }

  onOversizedJob(job: ReservedJob, error: Errors.ReplyTooLarge): void {
    this.#fork(this.#isStopped ? job.end : buryOversized(job, error, this.#settings.tubes))
  }

  onRefusal(reason: Errors.BeanstalkdErrorReason): void {
    this.#source.contact.onRefusal("reserve", reason)
  }

  onTornJob(id: JobId): void {
    this.#fork(deleteTorn(this.#source.shared, this.#settings.tubes, id))
  }

  onAnswered(): void {
    this.#control?.onChange()
    this.fill()
    this.#noticeLastAnswer()
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Connections
  // -------------------------------------------------------------------------------------------------------------------

  #open(): void {
    this.#dialing = "yes"
    const opened = this.#dial().pipe(
      Effect.matchCause({
        onFailure: (cause) => {
          // Whoever reserves is told, and ends: dialing on would only repeat it.
          this.#dialing = "never again"
          const error = Cause.squash(cause)
          if (error instanceof Errors.BeanstalkdError) this.#settings.onFailure(error)
        },
        onSuccess: () => {
          this.#dialing = "no"
          this.fill()
        }
      })
    )
    this.#fork(opened)
  }

  #dial(): Effect.Effect<void, Errors.BeanstalkdError> {
    const attempt = Effect.uninterruptibleMask((restore) =>
      Effect.gen({ self: this }, function*() {
        const scope = yield* Scope.fork(this.#scope)
        const pipeline = yield* restore(Scope.provide(this.#source.open(this.#settings.tubes), scope)).pipe(
          Effect.tap((pipeline) => this.#mustAnswer ? restore(this.#answer(pipeline)) : Effect.void),
          Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
        )
        this.#add(pipeline, scope)
      })
    )
    return this.#backoff.dial(attempt).pipe(
      Effect.catchIf((error) => !this.#backoff.isFinal(error), () => this.#dial())
    )
  }

  #answer(pipeline: Pipeline): Effect.Effect<void, Errors.BeanstalkdError> {
    return Effect.matchEffect(pipeline.run(commands.use, pipeline.session.chosenTube), {
      onFailure: (error) => error._tag === "BeanstalkdError" ? Effect.fail(error) : Effect.void,
      onSuccess: () => Effect.sync(() => void (this.#mustAnswer = false))
    })
  }

  #add(pipeline: Pipeline, scope: Scope.Closeable): void {
    const connection = new FetchConnection(pipeline, this.#origin, this.counts, this)
    this.connections.add(connection)
    this.#control?.onChange()
    pipeline.onDeath(() => {
      this.connections.delete(connection)
      if (pipeline.death === CLOSED_BY_SCOPE || pipeline.death === RESERVE_INTERRUPTED) {
        // It was closed on purpose, which tells nothing about the server.
      } else if (connection.hasAnswered) this.#backoff.onReply()
      else if (closedBeforeFirstReply(pipeline)) this.#backoff.onClosedBeforeFirstReply(lossOf(pipeline))
      else this.#backoff.onFailure(lossOf(pipeline))
      connection.loseAll()
      if (pipeline.death?._tag === "CommandTimeout") {
        this.#mustAnswer = true
        this.#closeSuspects()
      }
      this.#fork(Scope.close(scope, Exit.void))
      this.#control?.onChange()
      this.fill()
    })
  }
}

/** A fetcher that lives in the Scope. */
export const make = Effect.fnUntraced(function*(
  source: FetchSource,
  settings: IntakeSettings,
  control?: FetchControl
): Effect.fn.Return<Fetcher, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const fork = yield* scopedFork
  const backoff = new DialBackoff(source.reconnect, yield* Clock.Clock)
  const fetcher = new Fetcher(source, settings, yield* Scope.fork(scope), fork, backoff, control)
  // Added last, so that it runs first: a connection that ends with the Scope must not be replaced.
  yield* Scope.addFinalizer(
    scope,
    Effect.suspend(() => {
      fetcher.stop()
      return Effect.asVoid(Effect.timeoutOption(fetcher.givenBack, LAST_ANSWERS))
    })
  )
  return fetcher
})
