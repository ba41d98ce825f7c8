/**
 * One server of a fleet: its client, and how the fleet sees it.
 *
 * A connection proves nothing, since the kernel makes one with a server that is frozen as well. A server counts as up when
 * it has answered on a connection, and as silent when it owes an answer for too long.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as PrimaryKey from "effect/PrimaryKey"
import type * as Scope from "effect/Scope"
import type { Body, PutOptions } from "../../Client.ts"
import type * as Errors from "../../Errors.ts"
import { commands, type Failure } from "../../Protocol.ts"
import type { ServerStats } from "../../Stats.ts"
import { type ClientOfOne, poolKey } from "../client/internals.ts"
import { putCommand } from "../client/putCommand.ts"
import type { Pipeline } from "../connection/pipeline.ts"
import { type Internals, internals } from "../pool/internals.ts"
import type { JobRef } from "../protocol/jobRef.ts"

/** For how long a server may owe an answer before the others are preferred, in milliseconds. */
export const SILENT_MILLIS = 250

// How long a server that has no memory is left alone: more each time that it still has none.
const FIRST_REST_MILLIS = 1000
const LONGEST_REST_MILLIS = 30_000

/** What members run on. */
export interface MemberRuntime {
  readonly clock: Clock.Clock
  /** Starts a fiber that ends with the fleet. */
  readonly fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  /** The status of the member may have changed. */
  readonly onChange: (member: Member) => void
}

/** What the owner of a fleet has said about a server. */
export interface MemberSettings {
  readonly weight: number
  /** It takes no more jobs, and stays a member until it is no longer listed. */
  readonly isLeaving: boolean
}

/** One server of a fleet. */
export class Member implements PrimaryKey.PrimaryKey {
  readonly client: ClientOfOne
  /** The Scope of its client. */
  readonly scope: Scope.Closeable
  /** Its client's pool. */
  readonly parts: Internals
  readonly #runtime: MemberRuntime
  settings: MemberSettings
  /** Whether the list of servers no longer has it. */
  isUnlisted = false
  /** Whether somebody empties it. */
  isDrained = false
  #hasAnswered = false
  #isDraining = false
  #isSuspect = false
  #isSilent = false
  #isFull = false
  #restMillis = FIRST_REST_MILLIS
  #restedAt = -Infinity

  constructor(client: ClientOfOne, scope: Scope.Closeable, settings: MemberSettings, runtime: MemberRuntime) {
    this.client = client
    this.scope = scope
    this.settings = settings
    this.parts = internals(client[poolKey])
    this.#runtime = runtime
  }

  /** Dials, and goes on dialing. */
  start(): void {
    this.parts.shared.onChange = () => this.#onConnection()
    this.parts.shared.supervise()
  }

  // Longer than the name alone: a ring spreads names of one letter badly.
  [PrimaryKey.symbol](): string {
    return `beanstalkd server ${this.server}`
  }

  /** The name, as errors show it. */
  get server(): string {
    return this.client.server
  }

  /** Its shared connection, while there is one. */
  get pipeline(): Pipeline | undefined {
    return this.parts.shared.current
  }

  /** How many commands are on their way to it. */
  get load(): number {
    return this.parts.shared.load
  }

  /** Whether it is emptied before it is left. */
  get isLeaving(): boolean {
    return this.isUnlisted || this.isDrained || this.settings.isLeaving
  }

  /** Whether jobs may be asked for: it has answered, and owes no answer for too long. */
  get isLive(): boolean {
    return this.#hasAnswered && !this.#isSilent
  }

  /** Whether it owes an answer for too long. */
  get isSilent(): boolean {
    return this.#isSilent
  }

  /** The status, as of now. */
  get status(): Errors.ServerStatus {
    if (this.isLeaving) return "leaving"
    if (this.parts.shared.current === undefined) return "down"
    if (!this.isLive) return "silent"
    if (this.#isDraining) return "draining"
    return this.#isFull ? "full" : "up"
  }

  /** Why it is down, in words, if it is. */
  get reason(): string | undefined {
    const { contact, shared } = this.parts
    return shared.current === undefined ? (contact.reason ?? shared.lastFailure).message : undefined
  }

  // -------------------------------------------------------------------------------------------------------------------
  // What it is asked
  // -------------------------------------------------------------------------------------------------------------------

  /** Puts, if it is connected. What did not leave is not put again. */
  put(
    tube: string,
    body: Body,
    options: PutOptions | undefined,
    resume: (exit: Exit.Exit<JobRef, Failure<"put">>) => void
  ): Effect.Effect<void> | undefined {
    return this.parts.shared.startNow(putCommand, [body, options, tube], resume)
  }

  /** It has refused a put because it drains. */
  onDraining(): void {
    this.#isDraining = true
    this.#runtime.onChange(this)
  }

  /** It had no memory for a job: it is left alone for a while. */
  onFull(): void {
    if (this.#isFull) return
    const hasRecovered = this.#now() - this.#restedAt > this.#restMillis
    this.#restMillis = hasRecovered ? FIRST_REST_MILLIS : Math.min(this.#restMillis * 2, LONGEST_REST_MILLIS)
    this.#isFull = true
    this.#runtime.onChange(this)
    this.#runtime.fork(Effect.andThen(
      Effect.sleep(this.#restMillis),
      Effect.sync(() => {
        this.#isFull = false
        this.#restedAt = this.#now()
        this.#runtime.onChange(this)
      })
    ))
  }

  /** The answer to `stats`, as of now, if it can be reached. */
  get stats(): Effect.Effect<ServerStats, Failure<"stats">> {
    return Effect.callback((resume) => this.parts.shared.startNow(commands.stats, [], resume))
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Whether it answers
  // -------------------------------------------------------------------------------------------------------------------

  /**
   * Looks whether it owes an answer for too long, and tells whether it owes any. Too long is seen twice, with a turn of the
   * event loop in between: the answer may be here already, and this process was what was busy.
   */
  look(): boolean {
    let longest: number | undefined
    for (const { owedMillis } of this.parts.contact.connections) {
      if (owedMillis !== undefined) longest = Math.max(longest ?? 0, owedMillis)
    }
    const isSuspect = longest !== undefined && longest > SILENT_MILLIS
    const wasSilent = this.#isSilent
    this.#isSilent = isSuspect && (this.#isSuspect || wasSilent)
    this.#isSuspect = isSuspect
    if (wasSilent !== this.#isSilent) this.#runtime.onChange(this)
    return longest !== undefined || this.#isSilent
  }

  #onConnection(): void {
    this.#hasAnswered = false
    this.#isSilent = false
    this.#isSuspect = false
    const { current } = this.parts.shared
    this.#runtime.onChange(this)
    if (current !== undefined) this.#runtime.fork(this.#prove(current))
  }

  // Any answer proves that it is there, and this one tells as well whether it takes jobs.
  #prove(pipeline: Pipeline): Effect.Effect<void> {
    return Effect.map(Effect.result(pipeline.run(commands.stats)), (result) => {
      if (this.parts.shared.current !== pipeline) return
      this.#hasAnswered = true
      this.#isDraining = result._tag === "Success" && result.success.draining === true
      this.#runtime.onChange(this)
    })
  }

  #now(): number {
    return Number(this.#runtime.clock.monotonicTimeNanosUnsafe() / 1_000_000n)
  }
}
