/**
 * The service of a fleet: puts go to one of its servers, jobs come from all, and whatever concerns all asks all.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { identity } from "effect/Function"
import * as PubSub from "effect/PubSub"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Client from "../../Client.ts"
import type * as Errors from "../../Errors.ts"
import type { FleetEvent, Options, ServerState, Service } from "../../Fleet.ts"
import type { JobIdentifier } from "../client/byId.ts"
import { makePutAll } from "../client/putCommand.ts"
import { Health } from "../client/health.ts"
import { refused } from "../protocol/invalidOptions.ts"
import * as Validate from "../protocol/validate.ts"
import { makeDrain, noSuchServer } from "./drain.ts"
import { makeFanOut } from "./fanOut.ts"
import * as FleetIntake from "./fleetIntake.ts"
import type { Member, MemberRuntime } from "./member.ts"
import { Members } from "./members.ts"
import { Membership } from "./membership.ts"
import { Placement } from "./placement.ts"
import { makePut } from "./put.ts"
import { makeReserve } from "./reserve.ts"
import * as Settings from "./settings.ts"

// Who reads events slowly misses the oldest.
const EVENTS_KEPT = 1024

const stateOf = ({ load, reason, server, settings, status }: Member): ServerState => {
  return { server, status, load, weight: settings.weight, ...(reason === undefined ? {} : { reason }) }
}

// The commands on one job, each on the server that has the job.
const makeById = (members: Members) => {
  const byId = <A, E>(
    command: string,
    job: JobIdentifier,
    run: (client: Client.Service) => Effect.Effect<A, E>
  ): Effect.Effect<A, E | Errors.InvalidArgument> =>
    Effect.suspend((): Effect.Effect<A, E | Errors.InvalidArgument> => {
      const member = typeof job === "object" && job !== null ? members.get(job.server) : undefined
      if (member !== undefined) return run(member.client)
      const rule = `a job of ${members.names}: a JobRef, or a job that it has given`
      return Effect.fail(Validate.refuse(command, "id", job, rule))
    })
  return {
    reserveJob: (job: JobIdentifier) =>
      Effect.flatMap(
        Effect.scope,
        (scope) => byId("reserve-job", job, (client) => Scope.provide(client.reserveJob(job), scope))
      ),
    delete: (job: JobIdentifier) => byId("delete", job, (client) => client.delete(job)),
    peek: (job: JobIdentifier) => byId("peek", job, (client) => client.peek(job)),
    kickJob: (job: JobIdentifier) => byId("kick-job", job, (client) => client.kickJob(job)),
    statsJob: (job: JobIdentifier) => byId("stats-job", job, (client) => client.statsJob(job))
  }
}

const healthOf = Effect.fnUntraced(function*(members: Members): Effect.fn.Return<Health> {
  const all = yield* Effect.forEach(members.list, ({ client }) => client.health)
  const sum = (count: (health: Health) => number) => all.reduce((total, health) => total + count(health), 0)
  const heard = all.flatMap(({ lastHeard }) => lastHeard === undefined ? [] : [lastHeard])
  const isReachable = all.some(({ isReachable }) => isReachable)
  const reasons = all.flatMap(({ reason, server }) => reason === undefined ? [] : [`${server}: ${reason}`])
  const last = heard.sort((a, b) => b.epochMilliseconds - a.epochMilliseconds)[0]
  return new Health({
    server: members.names,
    isReachable,
    ...(reasons.length === 0 ? {} : { reason: reasons.join("; ") }),
    ...(last === undefined ? {} : { lastHeard: last }),
    connections: sum(({ connections }) => connections),
    commandsInFlight: sum(({ commandsInFlight }) => commandsInFlight),
    jobsInFlight: sum(({ jobsInFlight }) => jobsInFlight)
  })
})

const poolStatsOf = (members: Members) =>
  Effect.map(Effect.forEach(members.list, ({ client }) => client.poolStats), (all) =>
    all.reduce(
      (sum, stats) => ({
        idle: sum.idle + stats.idle,
        used: sum.used + stats.used,
        waiting: sum.waiting + stats.waiting,
        opened: sum.opened + stats.opened,
        lost: sum.lost + stats.lost,
        shared: sum.shared || stats.shared
      }),
      { idle: 0, used: 0, waiting: 0, opened: 0, lost: 0, shared: false }
    ))

// What makes sense on one server only.
const ofOneServer = (members: Members, operation: string): Effect.Effect<never, Errors.BeanstalkdError> =>
  Effect.suspend(() => {
    const rule = "one of its servers: use `on(server)` of the fleet"
    const invalid = Validate.refuse(operation, "server", members.names, rule)
    return Effect.fail(refused(members.names, invalid))
  })

const makeService = (
  members: Members,
  put: Client.Service["put"],
  events: PubSub.PubSub<FleetEvent>
): Service => {
  const drain = makeDrain(members, put)
  return identity<Service>({
    get server() {
      return members.names
    },
    put,
    putAll: makePutAll(put),
    reserve: makeReserve(members),
    ...makeById(members),
    ...makeFanOut(members),
    connection: ofOneServer(members, "connection"),
    health: Effect.suspend(() => healthOf(members)),
    poolStats: Effect.suspend(() => poolStatsOf(members)),
    run: () => ofOneServer(members, "run"),
    intake: (settings) => FleetIntake.make(members, settings),
    servers: Effect.sync(() => members.list.map(stateOf)),
    events: Stream.fromPubSub(events),
    on: (server) =>
      Effect.suspend(() => {
        const member = members.get(server)
        return member === undefined ? Effect.fail(noSuchServer(members, "on", server)) : Effect.succeed(member.client)
      }),
    drain
  })
}

/** Makes a fleet for the function `operation`, which errors about options name. It dials, and waits for no server. */
export const makeFleet = Effect.fnUntraced(function*<R>(
  operation: string,
  options: Options<R>
): Effect.fn.Return<Service, Errors.BeanstalkdError, R | Scope.Scope> {
  const { servers, settings } = yield* Settings.resolve(operation, options)
  const clock = yield* Clock.Clock
  const context = yield* Effect.context<R>()
  const random = Context.get(context, Random.Random)
  const scope = yield* Scope.fork(yield* Effect.scope, "parallel")
  const run = Effect.runForkWith(context)
  const fork = (effect: Effect.Effect<void>) => Fiber.runIn(run(effect), scope)
  const events = yield* PubSub.sliding<FleetEvent>(EVENTS_KEPT)
  const members = new Members(events, fork)
  // Before the servers' own Scopes end: who waits for one of them must hear of it.
  yield* Effect.addFinalizer(() => Effect.sync(() => members.close()))
  const runtime: MemberRuntime = { clock, fork, onChange: (member) => members.tell(member) }
  const membership = new Membership(operation, members, settings, scope, runtime)
  if (Stream.isStream(servers)) fork(membership.follow(Stream.provideContext(servers, context)))
  else yield* Effect.forEach(servers, (listed) => membership.join(listed), { discard: true })
  const placement = new Placement(members, () => random.nextDoubleUnsafe(), settings.whenDown)
  return makeService(members, makePut(members, placement, settings, clock), events)
})
