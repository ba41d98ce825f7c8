/**
 * The commands of one connection on their way: queued until the end of the turn, sent together in one write, matched
 * with their replies in order. It knows which tube the server will put into, keeps the bounds and the silence timer,
 * and dies once: whatever goes wrong first fails every unanswered command, and nothing is sent after it.
 *
 * All of it runs synchronously: when commands are queued, when bytes arrive, when the timer rings.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { sizeOf } from "../protocol/validate.ts"
import * as Errors from "../../Errors.ts"
import { Recorder } from "../../Metrics.ts"
import { type Answer, type AnyCommand, Pending, PendingList } from "./pendingCommand.ts"
import * as Protocol from "../../Protocol.ts"
import { type Nonsense, type RawReply, ReplyParser } from "../protocol/replyParser.ts"
import { layOut } from "../protocol/requestWriter.ts"
import { isBuried, isNotFound, Session } from "./sessionState.ts"
import type { Handlers, Transport } from "./transport.ts"
import { type JobId, JobIdFromString } from "../protocol/scalars.ts"

/**
 * What a pipeline needs to know. Times are in milliseconds, sizes in bytes.
 */
export interface Settings {
  readonly server: string
  readonly commandTimeoutMillis: number
  readonly maxReplySize: number
  readonly maxUnanswered: number
  readonly maxUnsentBytes: number
}

const RESERVING: ReadonlySet<AnyCommand> = new Set<AnyCommand>([
  Protocol.commands.reserve,
  Protocol.commands.reserveWithTimeout,
  Protocol.commands.reserveJob
])

// Where replies come before a write returns, they can lead to the next write for ever; others want their turn too. More
// than can be unanswered, so that it means nothing where replies come later.
const COMMANDS_PER_TURN = 2000

// A reply that is so large that it takes its time is no silence, as long as so much of it comes.
const PROGRESS_BYTES = 64 * 1024

/** Why a pipeline ends whose Scope is closed. */
export const CLOSED_BY_SCOPE = new Errors.ConnectionClosed({ detail: "its Scope was closed" })

/**
 * A pipeline over one transport, from the moment that it is attached.
 */
export class Pipeline implements Handlers {
  readonly #settings: Settings
  readonly #clock: Clock.Clock
  readonly #fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  readonly #metrics: Recorder
  readonly #parser: ReplyParser
  readonly #onDeath = new Set<() => void>()
  #transport: Transport | undefined
  #death: Errors.BeanstalkdErrorReason | undefined

  readonly #queued = new PendingList()
  readonly #sent = new PendingList()
  /** What the server keeps of this connection: tubes and jobs. */
  readonly session = new Session()
  /** The transport has more than it can take. */
  #congested = false
  /** A flush is due at the end of this turn of the event loop. */
  #flushComing = false
  /** Bytes are being written or read, and what is queued meanwhile leaves when that is done. */
  #inTurn = false
  #quitting = false
  #hasAnswered = false
  #wasTurnedAway = false

  /** Since when the oldest unanswered command has been the oldest. */
  #oldestSince = 0
  /** How many bytes have come since then. */
  #heard = 0
  #timer: Fiber.Fiber<void> | undefined
  #timerRingsAt = 0

  constructor(settings: Settings, context: Context.Context<never>) {
    this.#settings = settings
    this.#clock = Context.get(context, Clock.Clock)
    this.#fork = Effect.runForkWith(context)
    this.#metrics = new Recorder(settings.server, context)
    this.#parser = new ReplyParser(settings.maxReplySize, this.#onReply)
  }

  /** Begins to use a transport that was opened with this pipeline as its handlers. */
  attach(transport: Transport): void {
    this.#transport = transport
    if (this.#death !== undefined) return transport.destroy()
    this.#metrics.opened()
  }

  /** The address, as errors show it. */
  get server(): string {
    return this.#settings.server
  }

  /** Why it died, or undefined while it lives. */
  get death(): Errors.BeanstalkdErrorReason | undefined {
    return this.#death
  }

  /** Whether the server has answered anything. */
  get hasAnswered(): boolean {
    return this.#hasAnswered
  }

  /** Whether the other end closed it before it had answered anything. */
  get wasTurnedAway(): boolean {
    return this.#wasTurnedAway
  }

  /** Whether nothing is on its way: no command is queued, none awaits its reply. */
  get isQuiet(): boolean {
    return this.#queued.size === 0 && this.#sent.size === 0
  }

  /** How many commands are queued or await their replies. */
  get load(): number {
    return this.#queued.size + this.#sent.size
  }

  /** Makes the server watch exactly these tubes before it sees what is issued from now on. The pipeline must be quiet. */
  watchOnly(tubes: ReadonlySet<string>): void {
    const onFailure = () => this.die(new Errors.ConnectionClosed({ detail: "its tubes could not be watched" }))
    const ask = (command: typeof Protocol.commands.watch | typeof Protocol.commands.ignore, tube: string) =>
      this.#askInternally(command, [tube], () => {}, onFailure)
    const { watched } = this.session
    for (const tube of tubes) if (!watched.has(tube)) ask(Protocol.commands.watch, tube)
    for (const tube of watched) if (!tubes.has(tube)) ask(Protocol.commands.ignore, tube)
  }

  /** Calls `hook` when it dies, at once if it is dead; answers a function that forgets the hook. */
  onDeath(hook: () => void): () => void {
    if (this.#death !== undefined) {
      hook()
      return () => {}
    }
    this.#onDeath.add(hook)
    return () => this.#onDeath.delete(hook)
  }

  // -------------------------------------------------------------------------------------------------------------------
  // From the fiber to the socket
  // -------------------------------------------------------------------------------------------------------------------

  /**
   * Sends a command and waits for its answer. Interrupted before it has left, the command is withdrawn; after that its
   * reply is read and dropped, but a reserved job is given back.
   */
  run<Args extends ReadonlyArray<unknown>, Invalid, A, E>(
    command: Protocol.Command<Args, Invalid, A, E>,
    ...args: Args
  ): Effect.Effect<A, Invalid | E | Errors.BeanstalkdError> {
    return Effect.callback((resume) => this.start(command, args, resume))
  }

  /**
   * The same for those who are not an effect (yet): calls `resume` once with the answer, and returns what must be run if
   * nobody waits for it any more.
   */
  start<Args extends ReadonlyArray<unknown>, Invalid, A, E>(
    command: Protocol.Command<Args, Invalid, A, E>,
    args: Args,
    resume: (answer: Exit.Exit<A, Invalid | E | Errors.BeanstalkdError>) => void
  ): Effect.Effect<void> | undefined {
    const request = Protocol.encode(command, args)
    if (!isRequest(request)) {
      resume(Exit.fail(request))
      return undefined
    }
    const pending = new Pending(command, request, resume as (answer: Answer) => void)
    this.#enqueue(pending)
    return pending.state === "answered" ? undefined : Effect.sync(() => this.#abandon(pending))
  }

  #enqueue(pending: Pending): void {
    if (this.#death !== undefined) return this.#fail(pending, afterwards(this.#death))
    this.#queued.append(pending)
    if (this.#inTurn || this.#flushComing) return
    if (this.#transport?.isSynchronous === true) return this.#flush()
    this.#flushComing = true
    queueMicrotask(this.#onEndOfTurn)
  }

  readonly #onEndOfTurn = (): void => {
    this.#flushComing = false
    this.#flush()
  }

  #flush(now = this.#now()): void {
    if (this.#inTurn) return
    this.#inTurn = true
    let written = 0
    while (this.#death === undefined && !this.#congested && !this.#quitting) {
      const batch = this.#nextBatch(now)
      if (batch.length === 0) break
      this.#watchSilence()
      this.#write(batch)
      written += batch.length
      if (written >= COMMANDS_PER_TURN) {
        this.#flushAfterOthers()
        break
      }
    }
    this.#inTurn = false
  }

  #flushAfterOthers(): void {
    this.#flushComing = true
    this.#fork(Effect.andThen(Effect.yieldNow, Effect.sync(this.#onEndOfTurn)))
  }

  #write(batch: ReadonlyArray<Protocol.Request>): void {
    try {
      this.#congested = this.#transport?.write(layOut(batch)) === false
    } catch (cause) {
      this.die(new Errors.WriteError({ cause }))
    }
  }

  // Moves commands from the queue to those that have been sent, up to the bounds.
  #nextBatch(now: number): ReadonlyArray<Protocol.Request> {
    const batch: Array<Protocol.Request> = []
    let bytes = 0
    if (this.#sent.size === 0) this.#oldestSince = now
    const hasRoom = () => this.#sent.size < this.#settings.maxUnanswered
    while (hasRoom() && bytes < this.#settings.maxUnsentBytes) {
      const pending = this.#queued.head
      if (pending === undefined) break
      if (hasChanged(pending.request)) {
        this.#queued.remove(pending)
        this.#answer(pending, Exit.fail(changed(pending)))
        continue
      }
      this.#useTubeOf(pending, batch)
      if (!hasRoom()) break
      this.#queued.remove(pending)
      this.#send(pending, batch)
      bytes += pending.request.head.length + (pending.request.size ?? 0)
      if (pending.command === Protocol.commands.quit) {
        this.#quitting = true
        break
      }
    }
    return batch
  }

  #send(pending: Pending, batch: Array<Protocol.Request>): void {
    pending.state = "sent"
    this.#sent.append(pending)
    batch.push(pending.request)
  }

  // Decided here and not when the command was queued: what was queued before it may have been withdrawn since.
  #useTubeOf({ command, request }: Pending, batch: Array<Protocol.Request>): void {
    const tube = this.session.mustUse(command, request)
    if (tube === undefined) return
    this.#send(new Pending(Protocol.commands.use, { head: `use ${tube}`, tube }, undefined), batch)
  }

  onDrain(): void {
    this.#congested = false
    this.#flush()
  }

  // -------------------------------------------------------------------------------------------------------------------
  // From the socket to the fiber
  // -------------------------------------------------------------------------------------------------------------------

  onData(piece: Uint8Array): void {
    // The fibers that are resumed here issue their next commands at once, and these leave together.
    const wasInTurn = this.#inTurn
    this.#inTurn = true
    const oldest = this.#sent.head
    const nonsense = this.#parser.push(piece)
    this.#metrics.commit()
    this.#inTurn = wasInTurn
    if (nonsense !== undefined) this.#dieOfNonsense(this.#sent.shift(), nonsense)
    if (this.#death !== undefined) return
    const now = this.#now()
    this.#heard += piece.length
    if (this.#sent.head !== oldest || this.#heard >= PROGRESS_BYTES) {
      this.#heard = 0
      this.#oldestSince = now
      this.#watchSilence()
    }
    this.#flush(now)
  }

  readonly #onReply = (reply: RawReply): boolean => {
    const pending = this.#sent.shift()
    if (pending === undefined || pending.command === Protocol.commands.quit) {
      this.#dieOfNonsense(pending, { reply: Protocol.describeReply(reply), detail: "nobody asked for a reply" })
      return false
    }
    const { server } = this.#settings
    const answer = Protocol.decodeReply(pending.command, pending.request, server, reply)
    if (!Exit.isExit(answer)) {
      this.#dieOfNonsense(pending, answer)
      return false
    }
    if (pending.command === Protocol.commands.use && !isUsing(answer, pending.request.tube)) {
      const detail = `not the answer to use ${pending.request.tube}`
      this.#dieOfNonsense(pending, { reply: Protocol.describeReply(reply), detail })
      return false
    }
    if (reply.word === "RESERVED" && Exit.isSuccess(answer)) {
      pending.reserved = (answer.value as Protocol.ReceivedJob).id
    }
    this.#hasAnswered = true
    this.session.onAnswer(pending, answer)
    this.#metrics.answered(pending.command.name)
    if (Exit.isFailure(answer)) this.#metrics.failed(pending.command.name, answer)
    this.#answer(pending, answer)
    return this.#death === undefined
  }

  #answer(pending: Pending, answer: Answer): void {
    pending.state = "answered"
    const resume = pending.resume
    pending.resume = undefined
    if (resume !== undefined) resume(answer)
    else if (pending.reserved !== undefined) this.#giveBack(pending.reserved)
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Interruption
  // -------------------------------------------------------------------------------------------------------------------

  #abandon(pending: Pending): void {
    if (this.#death !== undefined) return
    pending.resume = undefined
    switch (pending.state) {
      case "queued":
        this.#queued.remove(pending)
        break
      case "sent":
        // The server reads nothing from a connection that waits, so the only way to end the wait is to close it.
        if (RESERVING.has(pending.command) && (pending.request.seconds ?? 0) > 0) {
          this.die(new Errors.ConnectionClosed({ detail: "a reserve that waited on it was interrupted" }))
        }
        break
      case "answered":
        // The job came in the moment of the interruption, and the fiber never saw it.
        if (pending.reserved !== undefined) this.#giveBack(pending.reserved)
    }
  }

  // Releases a job that nobody has, with its own priority. If that cannot be done, the end of the connection does it.
  #giveBack(id: JobId): void {
    const onFailure = () =>
      this.die(new Errors.ConnectionClosed({ detail: `job ${id}, which nobody waited for, could not be released` }))
    this.#askInternally(
      Protocol.commands.statsJob,
      [id],
      (stats) => this.#askInternally(Protocol.commands.release, [id, { priority: stats.pri }], () => {}, onFailure),
      onFailure
    )
  }

  #askInternally<Args extends ReadonlyArray<unknown>, A, E>(
    command: Protocol.Command<Args, Errors.InvalidArgument, A, E>,
    args: Args,
    onSuccess: (value: A) => void,
    onFailure: () => void
  ): void {
    const request = command.encode(...args)
    if (request instanceof Errors.InvalidArgument) return onFailure()
    this.#enqueue(
      new Pending(command, request, (answer) => {
        if (Exit.isSuccess(answer)) onSuccess(answer.value as A)
        // Its time has run out, or the server could but bury it: either way nobody is left without it.
        else if (!isNotFound(answer) && !isBuried(answer)) onFailure()
      })
    )
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Silence
  // -------------------------------------------------------------------------------------------------------------------

  #now(): number {
    return Number(this.#clock.monotonicTimeNanosUnsafe() / 1_000_000n)
  }

  // When the oldest unanswered command that has left runs out of time. One that makes the server wait has so much more.
  #deadline(): number {
    const oldest = this.#sent.head
    if (oldest === undefined) return Infinity
    const waits = RESERVING.has(oldest.command) ? (oldest.request.seconds ?? 0) * 1000 : 0
    return this.#oldestSince + waits + this.#settings.commandTimeoutMillis
  }

  // One timer serves all commands: it is set again when it rings too early, and sooner only where a deadline got nearer.
  #watchSilence(): void {
    const deadline = this.#deadline()
    if (deadline === Infinity || (this.#timer !== undefined && this.#timerRingsAt <= deadline)) return
    this.#timer?.interruptUnsafe()
    this.#timerRingsAt = deadline
    // The turn after the timer lets in a reply that arrived while this process was busy or asleep.
    this.#timer = this.#fork(
      Effect.sleep(deadline - this.#now()).pipe(
        Effect.andThen(Effect.yieldNow),
        Effect.andThen(Effect.sync(this.#ring))
      )
    )
    // It may have died meanwhile.
    if (this.#death !== undefined) this.#timer.interruptUnsafe()
  }

  readonly #ring = (): void => {
    this.#timer = undefined
    if (this.#deadline() > this.#now()) return this.#watchSilence()
    this.die(new Errors.CommandTimeout({ timeoutMillis: this.#settings.commandTimeoutMillis }))
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Death
  // -------------------------------------------------------------------------------------------------------------------

  onClose(reason: Errors.BeanstalkdErrorReason): void {
    const last = this.#sent.tail
    const hasQuit = last?.command === Protocol.commands.quit && reason._tag === "ConnectionClosed"
    if (hasQuit) this.#sent.remove(last)
    this.#wasTurnedAway = !this.#hasAnswered && !hasQuit
    this.die(reason)
    if (hasQuit) this.#answer(last, Exit.void)
  }

  // The reply belonged to `culprit`, if to anybody; the commands behind it only learn that the connection is gone.
  #dieOfNonsense(culprit: Pending | undefined, { detail, reply, tornJob }: Nonsense): void {
    const id = Schema.decodeUnknownOption(JobIdFromString)(tornJob)
    const reason = new Errors.UnexpectedReply({ reply, detail, ...(Option.isSome(id) ? { tornJob: id.value } : {}) })
    this.#end(afterwards(reason), () => {
      if (culprit !== undefined) this.#fail(culprit, reason)
    })
  }

  /** Ends it, unless it has ended: nothing is sent any more, and whatever waits for an answer fails. */
  die(reason: Errors.BeanstalkdErrorReason): void {
    this.#end(reason, () => {})
  }

  // It is dead before anybody hears of it, so that no one goes on with it.
  #end(reason: Errors.BeanstalkdErrorReason, before: () => void): void {
    if (this.#death !== undefined) return
    this.#death = reason
    this.#transport?.destroy()
    if (this.#transport !== undefined) this.#metrics.closed(reason !== CLOSED_BY_SCOPE && !this.#quitting)
    this.#timer?.interruptUnsafe()
    // Whoever replaces it hears of it before a fiber can come back for another connection.
    for (const hook of this.#onDeath) hook()
    this.#onDeath.clear()
    before()
    for (let pending = this.#sent.shift(); pending !== undefined; pending = this.#sent.shift()) {
      this.#fail(pending, reason)
    }
    for (let pending = this.#queued.shift(); pending !== undefined; pending = this.#queued.shift()) {
      this.#fail(pending, afterwards(reason))
    }
  }

  #fail({ command, resume, state }: Pending, reason: Errors.BeanstalkdErrorReason): void {
    const { server } = this.#settings
    const error = new Errors.BeanstalkdError({ command: command.name, server, sent: state === "sent", reason })
    const exit = Exit.fail(error) as Exit.Failure<never, Errors.BeanstalkdError>
    this.#metrics.failed(command.name, exit)
    resume?.(exit)
  }
}

const isRequest = (encoded: unknown): encoded is Protocol.Request => !(encoded instanceof Errors.InvalidArgument)

// An array whose memory was given away (or shrunk) since it was passed: its length is no longer what it was.
const hasChanged = ({ body, size }: Protocol.Request): boolean => typeof body === "object" && sizeOf(body) !== size

const changed = ({ command, request }: Pending): Errors.InvalidArgument =>
  new Errors.InvalidArgument({
    operation: command.name,
    argument: "body",
    value: request.body,
    rule: `left alone until it has been sent: it had ${request.size} bytes when it was passed`
  })

const isUsing = (answer: Answer, tube: string | undefined): boolean => Exit.isSuccess(answer) && answer.value === tube

// What a command hears that came too late, or was not to blame.
const afterwards = (reason: Errors.BeanstalkdErrorReason): Errors.ConnectionClosed =>
  reason._tag === "ConnectionClosed"
    ? reason
    : new Errors.ConnectionClosed({ detail: reason.message, cause: reason })
