/**
 * Whether the server can be reached, as all connections of one client tell together, and the log of that: one warning when
 * contact is lost, one line when it is back, and while it is away a warning per minute, if dials fail. An idle connection
 * that the other side closes is no loss of contact as long as the next dial succeeds: load balancers do so all day.
 *
 * Contact is back with the first reply on a newer connection, or when a connection has outlived the loss by a moment, which
 * one to a proxy without a server does not. After silence only a reply counts, since such a server accepts connections too.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Errors from "../../Errors.ts"
import { commands } from "../../Protocol.ts"
import type { Pipeline } from "../connection/pipeline.ts"
import { describeMillis } from "../protocol/describe.ts"
import { Throttle } from "./throttle.ts"

/** The time between two lines about the same trouble. */
const LINE_INTERVAL_MILLIS = 60_000

// A server that comes and goes is reported this often in a minute. After that the losses are counted, and told later.
const LOSSES_PER_MINUTE = 3

// How long a connection must have outlived a loss to prove that the server is there.
const SETTLING_MILLIS = 1000

// A connection that ends so soon, without a reply, is as good as a dial that failed.
const STILLBORN_MILLIS = 5000

type Reason = Errors.BeanstalkdErrorReason

/** A loss: what caused it, and when. */
interface Loss {
  readonly reason: Reason
  readonly at: number
  /** The connections that were open then, and when each was last heard. */
  readonly heard: ReadonlyMap<Pipeline, number>
  readonly isLogged: boolean
  /** The server had never been reached. */
  readonly isFirst: boolean
}

/** What contacts run on. */
export interface ContactRuntime {
  readonly clock: Clock.Clock
  /** Starts a fiber that ends with the client. */
  readonly fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
}

const isSilence = (reason: Reason): boolean => reason._tag === "CommandTimeout"

// Any answer will do, and no server lacks this command.
const ask = (pipeline: Pipeline): void => {
  pipeline.start(commands.use, [pipeline.session.chosenTube], () => {})
}

// The server is there: one of its jobs is not. Who deletes it says so.
const isOfTornJob = (reason: Reason): boolean =>
  reason._tag === "ConnectionClosed" && reason.cause instanceof Errors.UnexpectedReply &&
  reason.cause.tornJob !== undefined

// Another command's failure is the cause of some closed connections.
const wasClosed = (reason: Reason): boolean =>
  reason._tag === "ReadError" || (reason._tag === "ConnectionClosed" && reason.cause === undefined)

/** The contact with one server, over all connections of one client. */
export class Contact {
  readonly #server: string
  /** The connections, and when each was opened. */
  readonly #opened = new Map<Pipeline, number>()
  readonly #clock: Clock.Clock
  readonly #fork: ContactRuntime["fork"]
  readonly #losses: Throttle
  readonly #refusals: Throttle
  /** Undefined before the first connection. */
  #state: "unknown" | "there" | "away" = "unknown"
  #loss: Loss | undefined
  /** An idle connection was closed. The next dial tells whether that was a loss. */
  #suspicion: Loss | undefined
  #lastLineAt = -Infinity
  /** On connections that have ended. */
  #lastHeardAt = 0
  #isWatched = true

  constructor(server: string, { clock, fork }: ContactRuntime) {
    this.#server = server
    this.#clock = clock
    this.#fork = fork
    this.#losses = new Throttle(LOSSES_PER_MINUTE, LINE_INTERVAL_MILLIS)
    this.#refusals = new Throttle(1, LINE_INTERVAL_MILLIS)
  }

  /** From now on what happens is no news: somebody hears of it in another way, or the client itself closes connections. */
  ignore(): void {
    this.#isWatched = false
  }

  /** Ends {@link ignore}. */
  watch(): void {
    this.#isWatched = true
  }

  /** Whether the server was there when something was last heard of it. */
  get isReachable(): boolean {
    this.#look()
    return this.#state === "there"
  }

  /** The connections that are open. */
  get connections(): Iterable<Pipeline> {
    return this.#opened.keys()
  }

  /** How many they are. */
  get count(): number {
    return this.#opened.size
  }

  /** When bytes last came, by the clock on the wall, in milliseconds; 0 before the first. */
  get lastHeardAt(): number {
    let last = this.#lastHeardAt
    for (const { heardAt } of this.connections) last = Math.max(last, heardAt)
    return last
  }

  /** Why the server cannot be reached, if it cannot. */
  get reason(): Reason | undefined {
    this.#look()
    return this.#loss?.reason
  }

  // -------------------------------------------------------------------------------------------------------------------
  // What connections tell
  // -------------------------------------------------------------------------------------------------------------------

  /** A connection is open. */
  onOpen(pipeline: Pipeline): void {
    this.#opened.set(pipeline, this.#now())
    this.#suspicion = undefined
    pipeline.onFirstReply = () => {
      if (this.#loss?.heard.has(pipeline) === false) this.#onBack(this.#loss)
    }
    if (this.#loss === undefined) this.#state = "there"
    else this.#prove(pipeline, this.#loss)
  }

  /** A connection has ended, and its commands have not been told yet. */
  onDeath(pipeline: Pipeline): void {
    const { death, heardAt, isQuiet, lostServer, session } = pipeline
    const openedAt = this.#opened.get(pipeline) ?? 0
    this.#opened.delete(pipeline)
    this.#lastHeardAt = Math.max(this.#lastHeardAt, heardAt)
    if (death === undefined || !lostServer || !this.#isWatched || isOfTornJob(death)) return
    const isStillborn = pipeline.closedBeforeFirstReply && this.#now() - openedAt < STILLBORN_MILLIS
    const isIdle = wasClosed(death) && isQuiet && session.held.size === 0
    if (this.#loss !== undefined || !isIdle || isStillborn) return this.#onTrouble(death)
    this.#suspicion = this.#lossBy(death)
    this.#log(Effect.logDebug(`an idle connection to ${this.#server} has ended: ${death.message}`))
  }

  /** A dial failed. */
  onFailedDial({ reason }: Errors.BeanstalkdError): void {
    if (this.#isWatched) this.#onTrouble(reason)
  }

  /** The server refused a command that is repeated until it is not refused any more. */
  onRefusal(command: string, { message, _tag }: Reason): void {
    const count = this.#refusals.admit(this.#now(), `${command} ${_tag}`)
    if (count === 0) return
    const times = count > 1 ? ` (${count} times since the last line)` : ""
    this.#log(Effect.logWarning(`${this.#server} refuses ${command}: ${message}${times}`))
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Away and back
  // -------------------------------------------------------------------------------------------------------------------

  #onTrouble(reason: Reason): void {
    if (this.#loss === undefined) return this.#onLoss(this.#suspicion ?? this.#lossBy(reason))
    const now = this.#now()
    if (now - this.#lastLineAt < LINE_INTERVAL_MILLIS) return
    this.#loss = { ...this.#loss, isLogged: true }
    this.#warn(`no contact with ${this.#server} for ${describeMillis(now - this.#loss.at)}: ${reason.message}`)
  }

  #onLoss(loss: Loss): void {
    const count = this.#losses.admit(this.#now(), "")
    this.#suspicion = undefined
    this.#loss = { ...loss, isLogged: count > 0 }
    this.#state = "away"
    if (count > 0) {
      const what = loss.isFirst ? "waiting for" : "lost contact with"
      const times = count > 1 ? ` (${count} times since the last line)` : ""
      this.#warn(`${what} ${this.#server}: ${loss.reason.message}${times}`)
    }
    this.#fork(this.#lookUntilBack(this.#loss))
  }

  #onBack({ at, isFirst, isLogged }: Loss): void {
    this.#loss = undefined
    this.#state = "there"
    if (!isLogged) return
    const what = isFirst ? `${this.#server} can be reached` : `contact with ${this.#server} is back`
    this.#log(Effect.logInfo(`${what} after ${describeMillis(this.#now() - at)}`))
  }

  // A connection that nobody uses says nothing by itself.
  #prove(pipeline: Pipeline, loss: Loss): void {
    if (isSilence(loss.reason)) ask(pipeline)
    else this.#fork(Effect.andThen(Effect.sleep(SETTLING_MILLIS), Effect.sync(() => this.#look())))
  }

  #lookUntilBack(loss: Loss): Effect.Effect<void> {
    const lookIn = (millis: number): Effect.Effect<void> =>
      Effect.andThen(
        Effect.sleep(millis),
        Effect.suspend(() => {
          this.#look()
          const isAway = this.#loss?.at === loss.at && this.#isWatched
          if (isAway && isSilence(loss.reason)) this.#askOne()
          return isAway ? lookIn(Math.min(millis * 2, LINE_INTERVAL_MILLIS)) : Effect.void
        })
      )
    return lookIn(SETTLING_MILLIS)
  }

  // An idle connection that has survived the silence would not tell that it works.
  #askOne(): void {
    for (const pipeline of this.connections) {
      if (pipeline.isQuiet && pipeline.session.held.size === 0) return ask(pipeline)
    }
  }

  // In the moment of a loss, connections that are about to end may still have something to read.
  #look(): void {
    const loss = this.#loss
    if (loss === undefined) return
    for (const [pipeline, openedAt] of this.#opened) {
      const hasSettled = this.#now() - Math.max(openedAt, loss.at) >= SETTLING_MILLIS
      const isHeard = pipeline.heardAt !== (loss.heard.get(pipeline) ?? 0)
      if (hasSettled && (isHeard || !isSilence(loss.reason))) return this.#onBack(loss)
    }
  }

  #lossBy(reason: Reason): Loss {
    const isFirst = this.#state === "unknown"
    const heard = new Map<Pipeline, number>()
    for (const pipeline of this.connections) heard.set(pipeline, pipeline.heardAt)
    return { reason, at: this.#now(), heard, isLogged: false, isFirst }
  }

  #warn(line: string): void {
    this.#lastLineAt = this.#now()
    this.#log(Effect.logWarning(line))
  }

  // Loggers are written by others: one that dies ends nothing but this fiber.
  #log(line: Effect.Effect<void>): void {
    this.#fork(line.pipe(Effect.annotateLogs({ server: this.#server }), Effect.ignoreCause))
  }

  #now(): number {
    return Number(this.#clock.monotonicTimeNanosUnsafe() / 1_000_000n)
  }
}
