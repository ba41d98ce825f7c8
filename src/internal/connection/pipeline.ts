/**
 * The commands of one connection on their way: queued until the end of the tick, sent together in one write, matched
 * with their replies in order. A pipeline switches the tube that the server uses, keeps the bounds, and dies once:
 * whatever goes wrong first fails every unanswered command, and nothing is sent after it.
 *
 * All of it runs synchronously: when a command is issued, when bytes arrive, when a timer fires.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Errors from "../../Errors.ts"
import { commands } from "../../Protocol.ts"
import type { AnyCommand, Command, Request } from "../protocol/command.ts"
import {
  decodeReply,
  describeReply,
  jobOf,
  type ProtocolViolation,
  type RawReply,
  ReplyParser
} from "../protocol/replyReader.ts"
import { encode, layOut } from "../protocol/requestWriter.ts"
import { CommandRecorder } from "../telemetry/commandRecorder.ts"
import { afterwards, CLOSED_BY_SCOPE, failure, RESERVE_INTERRUPTED, unexpected } from "./endings.ts"
import { giveBack, watchOnly } from "./housekeeping.ts"
import { changeOf, type CommandExit, CommandQueue, type PendingCommand, SessionState } from "./pipelineState.ts"
import type { PipelineSettings } from "./options.ts"
import { Patience } from "./patience.ts"
import { SilenceTimer } from "./silenceTimer.ts"
import type { Handlers, Transport } from "./transport.ts"

/**
 * What a pipeline does with its queue.
 *
 * - `idle`: nothing is queued, or what is queued may wait or awaits the replies that make room for it; a command schedules a
 *   flush
 * - `scheduled`: a flush comes at the end of this tick, and takes along what is issued until then
 * - `flushing`: bytes are being written or read; what is issued meanwhile leaves right after that
 * - `congested`: the transport is full; `onDrain` flushes
 * - `quitting`: a `quit` has been sent, and nothing follows it
 * - `dead`: it has ended
 *
 * `idle` -> `scheduled` -> `flushing` -> `idle`, `congested` or `quitting`; `congested` -> `flushing`; all -> `dead`.
 * A transport without ticks goes from `idle` to `flushing`. Reading leaves `congested` and `quitting` as they are.
 */
type State = "idle" | "scheduled" | "flushing" | "congested" | "quitting" | "dead"

// With a synchronous transport each reply can lead to the next write, without end: after this many commands other
// fibers get their tick. More than can be unanswered by default, so that other transports never get there.
const COMMANDS_PER_TICK = 2000

/** A pipeline over one transport, from the moment that the transport is attached. */
export class Pipeline implements Handlers {
  /** What the server keeps of this connection: tubes and jobs. */
  readonly session = new SessionState()
  readonly #settings: PipelineSettings
  readonly #clock: Clock.Clock
  readonly #fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  readonly #recorder: CommandRecorder
  readonly #parser: ReplyParser
  readonly #silence: SilenceTimer
  readonly #onDeath = new Set<() => void>()
  readonly #queued = new CommandQueue()
  readonly #sent = new CommandQueue()
  readonly #patience: Patience
  #transport: Transport | undefined
  #state: State = "idle"
  #death: Errors.BeanstalkdErrorReason | undefined
  #hasAnswered = false
  #closedBeforeFirstReply = false
  #wasLost = false
  #lostServer = false
  /** When bytes last came, by the clock on the wall, in milliseconds; 0 before the first. */
  heardAt = 0
  /** Called with the first reply. */
  onFirstReply: () => void = () => {}

  constructor(settings: PipelineSettings, context: Context.Context<never>) {
    this.#settings = settings
    this.#clock = Context.get(context, Clock.Clock)
    this.#fork = Effect.runForkWith(context)
    this.#recorder = new CommandRecorder(settings.server, context)
    this.#patience = new Patience(() => this.#flushSoon(), this.#fork)
    this.#parser = new ReplyParser(settings.maxReplySize, this.#onReply)
    const { commandTimeoutMillis: timeoutMillis } = settings
    const onSilence = () => this.#lose(new Errors.CommandTimeout({ timeoutMillis }))
    this.#silence = new SilenceTimer(timeoutMillis, onSilence, context)
  }

  /** Begins to use a transport that was opened with this pipeline as its handlers. */
  attach(transport: Transport): void {
    this.#transport = transport
    if (this.#death !== undefined) return transport.destroy()
    this.#recorder.opened()
  }

  /** The address, as errors show it. */
  get server(): string {
    return this.#settings.server
  }

  /** The reason of its death, or undefined while it lives. */
  get death(): Errors.BeanstalkdErrorReason | undefined {
    return this.#death
  }

  /** Whether the server has answered anything. */
  get hasAnswered(): boolean {
    return this.#hasAnswered
  }

  /** Whether the other end closed it before it had answered anything. */
  get closedBeforeFirstReply(): boolean {
    return this.#closedBeforeFirstReply
  }

  /** Whether it ended against the will of its owner. */
  get wasLost(): boolean {
    return this.#wasLost
  }

  /** Whether the server, or the way to it, ended it. */
  get lostServer(): boolean {
    return this.#lostServer
  }

  /** How many commands are on their way: queued, or without their reply. */
  get load(): number {
    return this.#queued.size + this.#sent.size
  }

  /** For how long the server has owed an answer, in milliseconds, or undefined while it owes none. */
  get owedMillis(): number | undefined {
    return this.#silence.owedMillis
  }

  /** Whether no command is on its way. */
  get isQuiet(): boolean {
    return this.load === 0
  }

  /** Makes the server watch exactly these tubes for all commands that follow. The pipeline must be quiet. */
  watchOnly(tubes: ReadonlySet<string>, onRefusal?: Parameters<typeof watchOnly>[2]): void {
    watchOnly(this, tubes, onRefusal)
  }

  /** Calls `hook` when it dies, at once if it is dead. Returns a function that forgets the hook. */
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
   * Sends a command and waits for its reply. If the fiber is interrupted before the command has left, the command is
   * withdrawn; after that its reply is read and dropped, but a reserved job is given back.
   */
  run<Args extends ReadonlyArray<unknown>, Invalid, A, E>(
    command: Command<Args, Invalid, A, E>,
    ...args: Args
  ): Effect.Effect<A, Invalid | E | Errors.BeanstalkdError> {
    return Effect.callback((resume) => this.start(command, args, resume))
  }

  /**
   * `run` below the level of effects: calls `resume` once with the exit, and returns the effect to run if nobody waits
   * for it any more.
   */
  start<Args extends ReadonlyArray<unknown>, Invalid, A, E>(
    command: Command<Args, Invalid, A, E>,
    args: Args,
    resume: (exit: Exit.Exit<A, Invalid | E | Errors.BeanstalkdError>) => void
  ): Effect.Effect<void> | undefined {
    const request = encode(command, args)
    if (!isRequest(request) || this.#death !== undefined) {
      resume(isRequest(request) ? this.#failure(command, false, afterwards(this.#death!)) : Exit.fail(request))
      return undefined
    }
    const pending = this.#queued.add(command, request, resume as (exit: CommandExit) => void)
    this.#flushSoon()
    return pending.state === "answered" ? undefined : Effect.sync(() => this.#abandon(pending))
  }

  #flushSoon(): void {
    if (this.#state !== "idle") return
    if (this.#transport?.isSynchronous === true) return this.#flush()
    this.#state = "scheduled"
    queueMicrotask(this.#onEndOfTick)
  }

  // Bytes that arrived in between have led to a flush already.
  readonly #onEndOfTick = (): void => {
    if (this.#state === "scheduled") this.#flush()
  }

  #flush(): void {
    this.#state = "flushing"
    let written = 0
    while (this.#isFlushing() && written < COMMANDS_PER_TICK) {
      const batch = this.#nextBatch()
      if (batch.length === 0) break
      this.#silence.arm(this.#sent.head)
      this.#recorder.sent(batch.length)
      this.#write(batch)
      written += batch.length
    }
    if (!this.#isFlushing()) return
    if (written < COMMANDS_PER_TICK) {
      this.#state = "idle"
    } else {
      this.#state = "scheduled"
      this.#fork(Effect.andThen(Effect.yieldNow, Effect.sync(this.#onEndOfTick)))
    }
  }

  // Asked anew each time: what a write or a reply leads to can end the flush.
  #isFlushing(): boolean {
    return this.#state === "flushing"
  }

  #write(batch: ReadonlyArray<Request>): void {
    try {
      const goesOn = this.#transport?.write(layOut(batch))
      if (goesOn === false && this.#isFlushing()) this.#state = "congested"
    } catch (cause) {
      this.#lose(new Errors.WriteError({ cause }))
    }
  }

  // Moves commands from the queue to those that have been sent, up to the bounds.
  #nextBatch(): ReadonlyArray<Request> {
    const batch: Array<Request> = []
    let bytes = 0
    const { maxUnanswered, maxUnsentBytes } = this.#settings
    while (this.#sent.size < maxUnanswered && bytes < maxUnsentBytes) {
      const pending = this.#queued.head
      if (pending === undefined) break
      const change = typeof pending.request.body === "object" ? changeOf(pending) : undefined
      if (change !== undefined) {
        this.#queued.remove(pending)
        this.#answer(pending, Exit.fail(change))
        continue
      }
      this.#useTubeOf(pending, batch)
      if (this.#sent.size >= maxUnanswered) break
      this.#sent.takeOver(pending, this.#queued)
      this.#send(pending, batch)
      bytes += pending.request.head.length + (pending.request.size ?? 0)
      if (pending.command === commands.quit) {
        this.#state = "quitting"
        break
      }
    }
    return batch
  }

  #send(pending: PendingCommand, batch: Array<Request>): void {
    pending.state = "sent"
    batch.push(pending.request)
  }

  // Decided here and not when the command was issued: one that was issued before it may have been withdrawn since.
  #useTubeOf({ command, request }: PendingCommand, batch: Array<Request>): void {
    const tube = this.session.switchTube(command, request)
    if (tube === undefined) return
    this.#send(this.#sent.add(commands.use, { head: `use ${tube}`, tube }, undefined), batch)
  }

  onSent(isLast: boolean): void {
    if (this.#death === undefined) this.#silence.onSent(isLast, this.#sent.head)
  }

  onDrain(): void {
    if (this.#state === "congested") this.#flush()
  }

  // -------------------------------------------------------------------------------------------------------------------
  // From the socket to the fiber
  // -------------------------------------------------------------------------------------------------------------------

  onData(piece: Uint8Array): void {
    this.heardAt = this.#clock.currentTimeMillisUnsafe()
    // The fibers that are resumed here issue their next commands at once, and these leave together.
    const flushes = this.#state === "idle" || this.#state === "scheduled"
    if (flushes) this.#state = "flushing"
    const violation = this.#parser.push(piece)
    this.#recorder.commit()
    if (violation !== undefined) this.#dieOfViolation(this.#sent.shift(), violation)
    if (this.#death !== undefined) return
    this.#silence.onProgress(piece.length, this.#sent.head)
    if (!flushes) return
    const mayWait = this.#queued.size > 0 && this.#transport?.isSynchronous !== true
    if (mayWait && this.#patience.holds(this.#queued, this.#sent)) this.#state = "idle"
    else this.#flush()
  }

  readonly #onReply = (reply: RawReply): boolean => {
    const pending = this.#sent.shift()
    if (pending === undefined || pending.command === commands.quit) {
      return this.#dieOfReply(pending, reply, "nobody asked for a reply")
    }
    const exit = decodeReply(pending.command, pending.request, this.#settings.server, reply)
    if (!Exit.isExit(exit)) {
      this.#dieOfViolation(pending, exit)
      return false
    }
    if (pending.command === commands.use && !isUsing(exit, pending.request.tube)) {
      return this.#dieOfReply(pending, reply, `not the answer to use ${pending.request.tube}`)
    }
    if (reply.word === "RESERVED") pending.reserved = jobOf(exit)
    if (!this.#hasAnswered) {
      this.#hasAnswered = true
      this.onFirstReply()
    }
    // A command on the tube in use neither takes a job nor chooses tubes.
    if (pending.request.usesTube !== true) this.session.onReply(pending, exit)
    this.#recorder.answered(pending, exit, this.session)
    this.#answer(pending, exit)
    return this.#death === undefined
  }

  #answer(pending: PendingCommand, exit: CommandExit): void {
    pending.state = "answered"
    const resume = pending.resume
    pending.resume = undefined
    if (resume !== undefined) resume(exit)
    else if (pending.reserved !== undefined) giveBack(this, pending.reserved)
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Interruption
  // -------------------------------------------------------------------------------------------------------------------

  #abandon(pending: PendingCommand): void {
    if (this.#death !== undefined) return
    pending.resume = undefined
    switch (pending.state) {
      case "queued":
        this.#queued.remove(pending)
        break
      case "sent":
        // The server reads nothing from a connection that waits, so the only way to end the wait is to close it.
        if ((pending.request.seconds ?? 0) > 0) this.die(RESERVE_INTERRUPTED)
        break
      case "answered":
        // The job came in the moment of the interruption, and the fiber never saw it.
        if (pending.reserved !== undefined) giveBack(this, pending.reserved)
    }
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Death
  // -------------------------------------------------------------------------------------------------------------------

  onClose(reason: Errors.BeanstalkdErrorReason): void {
    const last = this.#sent.tail
    const hasQuit = last?.command === commands.quit && reason._tag === "ConnectionClosed"
    if (hasQuit) this.#sent.remove(last)
    this.#closedBeforeFirstReply = !this.#hasAnswered && !hasQuit
    this.#lose(reason)
    if (hasQuit) this.#answer(last, Exit.void)
  }

  #dieOfReply(culprit: PendingCommand | undefined, reply: RawReply, detail: string): false {
    this.#dieOfViolation(culprit, { reply: describeReply(reply), detail })
    return false
  }

  // The reply belonged to `culprit`, if to any command; the commands behind it only learn that the connection is gone.
  #dieOfViolation(culprit: PendingCommand | undefined, violation: ProtocolViolation): void {
    const reason = unexpected(violation)
    if (this.#death === undefined) this.#lostServer = true
    this.#end(afterwards(reason), () => {
      if (culprit !== undefined) this.#fail(culprit, reason)
    })
  }

  #lose(reason: Errors.BeanstalkdErrorReason): void {
    if (this.#death !== undefined) return
    this.#lostServer = this.#state !== "quitting"
    this.die(reason)
  }

  /** Ends it, unless it has ended: nothing is sent any more, and every unanswered command fails. */
  die(reason: Errors.BeanstalkdErrorReason): void {
    this.#end(reason, () => {})
  }

  // It is dead before any hook or fiber runs, so that none of them can use it.
  #end(reason: Errors.BeanstalkdErrorReason, before: () => void): void {
    if (this.#death !== undefined) return
    this.#wasLost = reason !== CLOSED_BY_SCOPE && reason !== RESERVE_INTERRUPTED && this.#state !== "quitting"
    this.#death = reason
    this.#state = "dead"
    this.#transport?.destroy()
    if (this.#transport !== undefined) this.#recorder.closed(this.#wasLost)
    this.#silence.cancel()
    // The pool must know before a fiber that fails here can come back for another connection.
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

  #fail({ command, resume, state }: PendingCommand, reason: Errors.BeanstalkdErrorReason): void {
    resume?.(this.#failure(command, state === "sent", reason))
  }

  #failure(
    command: AnyCommand,
    sent: boolean,
    reason: Errors.BeanstalkdErrorReason
  ): Exit.Exit<never, Errors.BeanstalkdError> {
    const exit = failure(command.name, this.#settings.server, sent, reason)
    this.#recorder.failed(command.name, exit)
    return exit
  }
}

const isRequest = (encoded: unknown): encoded is Request => !(encoded instanceof Errors.InvalidArgument)

const isUsing = (exit: CommandExit, tube: string | undefined): boolean => Exit.isSuccess(exit) && exit.value === tube
