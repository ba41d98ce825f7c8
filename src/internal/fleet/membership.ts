/**
 * How servers join a fleet and leave it, as its list says. Who joins moves keys, so it joins after a moment; who is no longer
 * listed takes no more jobs at once, and is left when it is empty.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Errors from "../../Errors.ts"
import type { ServerOptions } from "../../Fleet.ts"
import { makeIdleClient } from "../client/clientImpl.ts"
import { Member, type MemberRuntime } from "./member.ts"
import type { Members } from "./members.ts"
import { type Listed, readList, type Settings } from "./settings.ts"

// How often a server that is left is asked whether it is empty.
const ASK_INTERVAL = Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("2 seconds")])

// A server that is no longer listed and cannot be reached for so long is left with what it has.
const UNREACHABLE_MILLIS = 60_000

/** Follows a list of servers. */
export class Membership {
  readonly #operation: string
  readonly #members: Members
  readonly #settings: Settings
  readonly #scope: Scope.Scope
  readonly #runtime: MemberRuntime
  /** Those that are listed and have not joined. */
  readonly #joining = new Map<string, Listed>()
  #isWaitingToJoin = false

  constructor(operation: string, members: Members, settings: Settings, scope: Scope.Scope, runtime: MemberRuntime) {
    this.#operation = operation
    this.#members = members
    this.#settings = settings
    this.#scope = scope
    this.#runtime = runtime
  }

  /** A server joins now. */
  readonly join = Effect.fnUntraced({ self: this }, function*(
    { options, settings }: Listed
  ): Effect.fn.Return<void, Errors.BeanstalkdError> {
    const scope = yield* Scope.fork(this.#scope)
    const client = yield* Scope.provide(makeIdleClient(this.#operation, options), scope).pipe(
      Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
    )
    const member = new Member(client, scope, settings, this.#runtime)
    this.#members.add(member)
    member.start()
  })

  /** Follows the lists that come. What is wrong with one is logged, and the last good one counts. */
  follow(lists: Stream.Stream<ReadonlyArray<string | ServerOptions>>): Effect.Effect<void> {
    return Stream.runForEach(lists, (list) =>
      Effect.suspend(() => {
        const read = readList(this.#operation, list, this.#settings.client)
        if (Result.isFailure(read)) return Effect.logWarning(`a list of servers is ignored: ${read.failure.message}`)
        if (read.success.length === 0) return Effect.logWarning("a list without servers is ignored")
        return Effect.sync(() => this.#set(read.success))
      })).pipe(
        Effect.catchCause((cause) =>
          Effect.logError("there are no more lists of servers, so the last one counts", cause)
        )
      )
  }

  #set(list: ReadonlyArray<Listed>): void {
    const names = new Set(list.map(({ server }) => server))
    for (const name of this.#joining.keys()) if (!names.has(name)) this.#joining.delete(name)
    for (const listed of list) {
      const member = this.#members.get(listed.server)
      if (member === undefined) this.#joining.set(listed.server, listed)
      else this.#keep(member, listed)
    }
    // Before there is any server, no key has a home that it could move from.
    this.#joinLater(this.#members.list.length === 0 ? Duration.zero : this.#settings.joinDelay)
    for (const member of this.#members.list) {
      if (!names.has(member.server) && !member.isUnlisted) this.#leave(member)
    }
  }

  #keep(member: Member, { settings }: Listed): void {
    if (member.settings.weight !== settings.weight) this.#members.onWeight()
    member.settings = settings
    member.isUnlisted = false
    this.#members.tell(member)
  }

  #joinLater(delay: Duration.Duration): void {
    if (this.#isWaitingToJoin || this.#joining.size === 0) return
    this.#isWaitingToJoin = true
    this.#runtime.fork(Effect.andThen(
      Effect.sleep(delay),
      Effect.suspend(() => {
        this.#isWaitingToJoin = false
        const all = [...this.#joining.values()]
        this.#joining.clear()
        return Effect.forEach(all, (each) => this.#joinOrWarn(each), { discard: true })
      })
    ))
  }

  #joinOrWarn(listed: Listed): Effect.Effect<void> {
    return Effect.matchEffect(this.join(listed), {
      onFailure: ({ message }) => Effect.logWarning(`${listed.server} cannot join: ${message}`),
      onSuccess: () => Effect.logInfo(`${listed.server} has joined`)
    })
  }

  #leave(member: Member): void {
    member.isUnlisted = true
    this.#members.tell(member)
    this.#runtime.fork(Effect.flatMap(this.#emptied(member), (left) => {
      // Listed and unlisted again meanwhile, it is waited for twice.
      const isGone = this.#members.get(member.server) !== member
      if (left === undefined || isGone || !member.isUnlisted) return Effect.void
      this.#members.remove(member, left)
      return Effect.andThen(Effect.logInfo(`${member.server} has left: ${left}`), Scope.close(member.scope, Exit.void))
    }))
  }

  // In what state it can be left, or undefined if it is listed again. Buried jobs stay: nobody would take them.
  #emptied(member: Member): Effect.Effect<string | undefined> {
    let heardAt = this.#now()
    return Effect.suspend((): Effect.Effect<{ readonly left: string | undefined } | undefined> => {
      if (!member.isUnlisted) return Effect.succeed({ left: undefined })
      return Effect.match(member.stats, {
        onFailure: () => {
          const millis = this.#now() - heardAt
          return millis < UNREACHABLE_MILLIS
            ? undefined
            : { left: `it cannot be reached for ${Duration.format(Duration.millis(millis))}` }
        },
        onSuccess: ({ currentJobsBuried, currentJobsDelayed, currentJobsReady, currentJobsReserved }) => {
          heardAt = this.#now()
          if (currentJobsReady + currentJobsReserved + currentJobsDelayed > 0) return undefined
          return { left: currentJobsBuried === 0 ? "it is empty" : `it has ${currentJobsBuried} buried jobs` }
        }
      })
    }).pipe(
      Effect.repeat({ until: (answer) => answer !== undefined, schedule: ASK_INTERVAL }),
      Effect.map((answer) => answer?.left)
    )
  }

  #now(): number {
    return this.#runtime.clock.currentTimeMillisUnsafe()
  }
}
