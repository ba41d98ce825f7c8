/**
 * The servers of a fleet: which there are, which of them take jobs, and who hears of a change.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as PubSub from "effect/PubSub"
import * as Errors from "../../Errors.ts"
import type { FleetEvent } from "../../Fleet.ts"
import { CLOSED_BY_SCOPE } from "../connection/endings.ts"
import type { Member } from "./member.ts"

// How often servers that owe answers are looked at.
const LOOK_INTERVAL_MILLIS = 50

/** The servers of a fleet. */
export class Members {
  readonly #byName = new Map<string, Member>()
  readonly #told = new Map<Member, Errors.ServerStatus>()
  readonly #events: PubSub.PubSub<FleetEvent>
  readonly #fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  readonly #hooks = new Set<() => void>()
  #list: ReadonlyArray<Member> = []
  #open: ReadonlyArray<Member> = []
  #version = 0
  #isLooking = false
  #isClosed = false

  constructor(events: PubSub.PubSub<FleetEvent>, fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>) {
    this.#events = events
    this.#fork = fork
  }

  /** Whether the fleet has ended. */
  get isClosed(): boolean {
    return this.#isClosed
  }

  /** The fleet ends: no server takes jobs any more, and nobody waits for a change. */
  close(): void {
    this.#isClosed = true
    this.#open = []
    this.#runHooks()
  }

  /** All of them. */
  get list(): ReadonlyArray<Member> {
    return this.#list
  }

  /** Those that take jobs. */
  get open(): ReadonlyArray<Member> {
    return this.#open
  }

  /** A number that is another one after each change. */
  get version(): number {
    return this.#version
  }

  /** All names, as errors show them. */
  get names(): string {
    return this.#list.length === 0 ? "no server" : this.#list.map(({ server }) => server).join(",")
  }

  /** The server of this name. */
  get(server: string): Member | undefined {
    return this.#byName.get(server)
  }

  /** Calls `hook` after each change. Returns a function that forgets the hook. */
  onChange(hook: () => void): () => void {
    this.#hooks.add(hook)
    return () => this.#hooks.delete(hook)
  }

  /** Waits for the next change. */
  readonly changed: Effect.Effect<void> = Effect.callback((resume) => {
    const forget = this.onChange(() => {
      forget()
      resume(Effect.void)
    })
    return Effect.sync(forget)
  })

  /** A server is one of them from now on. */
  add(member: Member): void {
    this.#byName.set(member.server, member)
    this.#relist()
    this.tell(member)
  }

  /** A server is none of them any more. */
  remove(member: Member, reason: string): void {
    if (this.#byName.get(member.server) !== member) return
    this.#byName.delete(member.server)
    this.#told.delete(member)
    this.#relist()
    PubSub.publishUnsafe(this.#events, { server: member.server, status: "left", reason })
    this.#runHooks()
  }

  /** The weight of a server has changed. */
  onWeight(): void {
    this.#version++
  }

  /** The status of a server may have changed. */
  tell(member: Member): void {
    if (this.#isClosed || this.#byName.get(member.server) !== member) return
    const { reason, status } = member
    const before = this.#told.get(member)
    if (before === status) return
    this.#told.set(member, status)
    this.#open = this.#list.filter(({ status }) => status === "up")
    this.#version++
    PubSub.publishUnsafe(this.#events, { server: member.server, status, ...(reason === undefined ? {} : { reason }) })
    if (before !== undefined) this.#log(member, status)
    this.#runHooks()
  }

  /** Looks at the servers again and again, as long as one of them owes an answer. */
  watch(): void {
    if (this.#isLooking) return
    this.#isLooking = true
    this.#fork(this.#look)
  }

  /** Why no server takes a job. */
  get noServer(): Errors.BeanstalkdErrorReason {
    if (this.#isClosed) return CLOSED_BY_SCOPE
    return new Errors.NoServer({
      servers: this.#list.map(({ reason, server, status }) => {
        return { server, status, ...(reason === undefined ? {} : { reason }) }
      })
    })
  }

  readonly #look: Effect.Effect<void> = Effect.andThen(
    Effect.sleep(LOOK_INTERVAL_MILLIS),
    Effect.suspend(() => {
      let isOwed = false
      for (const member of this.#list) isOwed = member.look() || isOwed
      this.#isLooking = isOwed
      return isOwed ? this.#look : Effect.void
    })
  )

  #relist(): void {
    this.#list = [...this.#byName.values()]
    this.#open = this.#list.filter(({ status }) => status === "up")
    this.#version++
  }

  #runHooks(): void {
    // Those that are added meanwhile wait for the next change.
    for (const hook of Array.from(this.#hooks)) hook()
  }

  // What a client logs by itself, that contact is lost and back, is not logged again.
  #log({ server }: Member, status: Errors.ServerStatus): void {
    if (status === "draining") this.#info(server, "drains, so its jobs are put elsewhere")
    else if (status === "full") this.#info(server, "has no memory for more jobs, so they are put elsewhere")
    else if (status === "leaving") this.#info(server, "is being emptied, and takes no more jobs")
  }

  #info(server: string, what: string): void {
    // Loggers are written by others: one that dies ends nothing but this fiber.
    this.#fork(Effect.logInfo(`${server} ${what}`).pipe(Effect.annotateLogs({ server }), Effect.ignoreCause))
  }
}
