/**
 * The commands that concern all servers of a fleet, and how their answers become one.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Client from "../../Client.ts"
import * as Errors from "../../Errors.ts"
import { commands, type Failure, type RawJob } from "../../Protocol.ts"
import type { JobStats, ServerStats, TubeStats } from "../../Stats.ts"
import { inTube } from "../client/clientImpl.ts"
import * as Validate from "../protocol/validate.ts"
import type { Member } from "./member.ts"
import type { Members } from "./members.ts"
import { FleetServerStats, FleetTubeStats, sumOf } from "./stats.ts"

type AnyError = { readonly _tag: string; readonly message: string }

/** What a server has answered, or why it has not. */
interface Answer<out A, out E> {
  readonly member: Member
  readonly result: Result.Result<A, E>
}

/** The answers of all servers. */
interface Answers<out A, out E> {
  readonly done: ReadonlyArray<{ readonly member: Member; readonly value: A }>
  readonly failed: ReadonlyArray<{ readonly member: Member; readonly error: E }>
}

/** Asks all servers at once. */
const askAll = <A, E>(
  members: Members,
  command: string,
  ask: (client: Client.Service) => Effect.Effect<A, E>
): Effect.Effect<Answers<A, E>, Errors.BeanstalkdError> =>
  Effect.suspend(() => {
    const { list } = members
    if (list.length === 0) return noServer(members, command)
    return Effect.forEach(
      list,
      (member): Effect.Effect<Answer<A, E>> =>
        Effect.map(Effect.result(ask(member.client)), (result) => ({ member, result })),
      { concurrency: "unbounded" }
    ).pipe(Effect.map((answers) => ({
      done: answers.flatMap(({ member, result }) =>
        Result.isSuccess(result) ? [{ member, value: result.success }] : []
      ),
      failed: answers.flatMap(({ member, result }) =>
        Result.isFailure(result) ? [{ member, error: result.failure }] : []
      )
    })))
  })

const noServer = (members: Members, command: string): Effect.Effect<never, Errors.BeanstalkdError> =>
  Effect.fail(
    new Errors.BeanstalkdError({ command, server: members.names, sent: false, reason: members.noServer })
  )

const isNotFound = (error: AnyError): error is Errors.NotFound => error._tag === "NotFound"

// Without an answer there is the error of those that could not be asked, or else that of those that have no such tube.
const worst = <E extends AnyError>(failed: Answers<unknown, E>["failed"]): E =>
  (failed.find(({ error }) => !isNotFound(error)) ?? failed[0]!).error

const unreachable = (failed: Answers<unknown, AnyError>["failed"]) =>
  failed.filter(({ error }) => !isNotFound(error)).map(({ error, member }) => {
    return { server: member.server, message: error.message }
  })

// ---------------------------------------------------------------------------------------------------------------------
// Looking
// ---------------------------------------------------------------------------------------------------------------------

/** Which of two jobs comes first in its tubes. */
type Order = (a: JobStats, b: JobStats) => number

const byUrgency: Order = (a, b) => a.pri - b.pri || b.age - a.age
const byTimeLeft: Order = (a, b) => a.timeLeft - b.timeLeft
const byAge: Order = (a, b) => b.age - a.age

type Peek = (client: Client.Service) => Effect.Effect<RawJob, Failure<"peekReady">>

const first = (jobs: ReadonlyArray<{ readonly job: RawJob; readonly stats: JobStats }>, order: Order) =>
  jobs.reduce((best, job) => order(job.stats, best.stats) < 0 ? job : best).job

// The first of those that each server has first. A job that is gone when its statistics are asked for is none.
const peek = (members: Members, command: string, look: Peek, order: Order) =>
  Effect.gen(function*() {
    const { done, failed } = yield* askAll(members, command, look)
    const [only, ...others] = done
    if (only === undefined) return yield* worst(failed)
    if (others.length === 0) return only.value
    const jobs = yield* Effect.forEach(
      done,
      ({ member, value }) =>
        Effect.match(member.client.statsJob(value.id), {
          onFailure: () => [],
          onSuccess: (stats) => [{ job: value, stats }]
        }),
      { concurrency: "unbounded" }
    )
    const left = jobs.flat()
    return left.length === 0 ? only.value : first(left, order)
  })

// ---------------------------------------------------------------------------------------------------------------------
// Kicking
// ---------------------------------------------------------------------------------------------------------------------

// A bound that is spent on the servers one after the other, and on no more than each has.
const spend = (command: string, tube: string, bound: number, counts: ReadonlyArray<readonly [Member, number]>) =>
  Effect.gen(function*() {
    let kicked = 0
    for (const [member, count] of counts) {
      const most = Math.min(bound - kicked, count)
      if (most <= 0) continue
      const result = yield* Effect.result(member.client.kick(tube, most))
      if (Result.isSuccess(result)) kicked += result.success
      else if (kicked === 0) return yield* result.failure
      else {
        yield* Effect.logWarning(`${command}: ${kicked} jobs were kicked before this: ${result.failure.message}`)
        return kicked
      }
    }
    return kicked
  })

const kick = Effect.fnUntraced(function*(members: Members, tube: string, given: number | undefined) {
  const bound = Validate.uint32("kick", "bound", given ?? 1)
  if (bound instanceof Errors.InvalidArgument) return yield* bound
  const { done, failed } = yield* askAll(members, commands.kick.name, (client) => client.statsTube(tube))
  if (done.length === 0) {
    const error = worst(failed)
    return isNotFound(error) ? 0 : yield* error
  }
  const countsOf = (count: (stats: TubeStats) => number) =>
    done.map(({ member, value }) => [member, count(value)] as const)
  // As with one server: delayed jobs only if none is buried, on no server.
  const buried = countsOf(({ currentJobsBuried }) => currentJobsBuried)
  const isAnyBuried = buried.some(([, count]) => count > 0)
  return yield* spend(
    commands.kick.name,
    tube,
    bound,
    isAnyBuried ? buried : countsOf(({ currentJobsDelayed }) => currentJobsDelayed)
  )
})

// ---------------------------------------------------------------------------------------------------------------------
// All of it
// ---------------------------------------------------------------------------------------------------------------------

const pauseTube = Effect.fnUntraced(function*(members: Members, tube: string, delay: Duration.Input) {
  const command = commands.pauseTube.name
  const { done, failed } = yield* askAll(members, command, (client) => client.pauseTube(tube, delay))
  if (done.length === 0) return yield* worst(failed)
  const others = unreachable(failed)
  if (others.length === 0) return
  return yield* new Errors.BeanstalkdError({
    command,
    server: others.map(({ server }) => server).join(","),
    sent: true,
    reason: new Errors.PartlyDone({ done: done.map(({ member }) => member.server), failed: others })
  })
})

const statsTube = Effect.fnUntraced(function*(members: Members, tube: string) {
  const { done, failed } = yield* askAll(members, commands.statsTube.name, (client) => client.statsTube(tube))
  if (done.length === 0) return yield* worst(failed)
  const parts = done.map(({ member, value }) => ({ server: member.server, stats: value }))
  return new FleetTubeStats({ ...sumOf(parts.map(({ stats }) => stats)), parts, unreachable: unreachable(failed) })
})

const stats = Effect.fnUntraced(function*(members: Members) {
  const { done, failed } = yield* askAll(members, commands.stats.name, (client) => client.stats)
  if (done.length === 0) return yield* worst(failed)
  const parts = done.map(({ member, value }) => ({ server: member.server, stats: value }))
  return new FleetServerStats({
    ...sumOf<ServerStats>(parts.map(({ stats }) => stats)),
    parts,
    unreachable: unreachable(failed)
  })
})

const listTubes = Effect.fnUntraced(function*(members: Members) {
  const { done, failed } = yield* askAll(members, commands.listTubes.name, (client) => client.listTubes)
  if (done.length === 0) return yield* worst(failed)
  return [...new Set(done.flatMap(({ value }) => value))]
})

/** The members of a fleet's service that ask all servers. */
export const makeFanOut = (members: Members) => ({
  peekReady: (tube: string) =>
    inTube("peek-ready", tube, () => peek(members, "peek-ready", (client) => client.peekReady(tube), byUrgency)),
  peekDelayed: (tube: string) =>
    inTube("peek-delayed", tube, () => peek(members, "peek-delayed", (client) => client.peekDelayed(tube), byTimeLeft)),
  peekBuried: (tube: string) =>
    inTube("peek-buried", tube, () => peek(members, "peek-buried", (client) => client.peekBuried(tube), byAge)),
  kick: (tube: string, bound?: number) => inTube("kick", tube, () => kick(members, tube, bound)),
  pauseTube: (tube: string, delay: Duration.Input) => pauseTube(members, tube, delay),
  statsTube: (tube: string) => statsTube(members, tube),
  stats: Effect.suspend(() => stats(members)),
  listTubes: Effect.suspend(() => listTubes(members))
})
