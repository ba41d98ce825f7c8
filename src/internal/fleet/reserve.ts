/**
 * Reserving one job of a fleet: whatever a server has ready, or else the first that one of them gives.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import * as Scope from "effect/Scope"
import type { Service, Tubes } from "../../Client.ts"
import * as Errors from "../../Errors.ts"
import type { Job } from "../../Job.ts"
import { commands } from "../../Protocol.ts"
import { readArguments, type ReserveOptions } from "../client/reserve.ts"
import type { Member } from "./member.ts"
import type { Members } from "./members.ts"

type Failure = Errors.TimedOut | Errors.InvalidArgument | Errors.ReplyTooLarge | Errors.BeanstalkdError

type Attempt<A = Job> = Effect.Effect<A, Failure, Scope.Scope>

// Who comes first in a race. Two may come in one turn.
class Finish {
  #isPassed = false

  /** Whether this is the first. */
  pass(): boolean {
    const isFirst = !this.#isPassed
    this.#isPassed = true
    return isFirst
  }
}

// The job has a Scope of its own. Whoever comes second gives his job back.
const racer = (attempt: Attempt, outer: Scope.Scope, finish: Finish): Effect.Effect<Job, Failure> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Scope.fork(outer), (scope) =>
      restore(Scope.provide(attempt, scope)).pipe(
        Effect.filterOrElse(() => finish.pass(), () => Effect.interrupt),
        Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
      ))
  )

/** The `reserve` of a fleet. */
export const makeReserve = (members: Members): Service["reserve"] => {
  const live = (): ReadonlyArray<Member> => members.list.filter(({ isLive }) => isLive)

  // Without waiting, one after the other: a race would take a job of each, and give all but one back.
  const sweep = (tubes: Tubes, at: number): Attempt<Job | undefined> =>
    Effect.suspend(() => {
      const member = live()[at]
      if (member === undefined) return Effect.undefined
      return Effect.matchEffect(member.client.reserve(tubes, { timeout: 0 }), {
        onFailure: (error): Attempt<Job | undefined> =>
          error._tag === "TimedOut" || error._tag === "BeanstalkdError" ? sweep(tubes, at + 1) : Effect.fail(error),
        onSuccess: Effect.succeed
      })
    })

  // The first that comes. Each that loses is interrupted, which closes its connection: the server takes back what it gives
  // in that moment. There is no job when the race must begin anew, since there are other servers than before.
  const race = (tubes: Tubes): Attempt<Job | undefined> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(Effect.flatMap(Effect.scope, Scope.fork), (scope) => {
        const finish = new Finish()
        const changed = Effect.flatMap(members.changed, () => finish.pass() ? Effect.undefined : Effect.never)
        const racers = live().map(({ client }) =>
          Effect.catchTag(racer(client.reserve(tubes), scope, finish), "BeanstalkdError", () => Effect.never)
        )
        return restore(Effect.raceAllFirst([changed, ...racers])).pipe(
          Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
        )
      })
    )

  const patient = (tubes: Tubes, seconds: number): Attempt => {
    const timedOut = () => new Errors.TimedOut({ server: members.names, timeoutSeconds: seconds })
    const next: Attempt = Effect.flatMap(sweep(tubes, 0), (job) => {
      if (job !== undefined) return Effect.succeed(job)
      if (members.isClosed) return Effect.fail(noServer())
      if (seconds === 0) return Effect.fail(live().length === 0 ? noServer() : timedOut())
      return Effect.filterOrElse(race(tubes), Predicate.isNotUndefined, () => next)
    })
    return seconds === 0 || seconds === Infinity
      ? next
      : Effect.timeoutOrElse(next, { duration: Duration.seconds(seconds), orElse: () => Effect.fail(timedOut()) })
  }

  const noServer = () =>
    new Errors.BeanstalkdError({
      command: commands.reserveWithTimeout.name,
      server: members.names,
      sent: false,
      reason: members.noServer
    })

  const reserve = (tubes: Tubes, options?: ReserveOptions) =>
    Effect.flatMap(readArguments(tubes, options), ({ seconds, wanted }) => patient(wanted, seconds))
  return reserve as Service["reserve"]
}
