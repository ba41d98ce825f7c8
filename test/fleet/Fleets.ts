/**
 * Fleets of servers in memory whose names are letters, and what makes one of the servers fail.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import type * as Errors from "../../src/Errors.ts"
import * as Client from "../../src/Client.ts"
import * as Fleet from "../../src/Fleet.ts"
import * as Server from "../../src/Server.ts"
import { quietly } from "../support/Fixture.ts"

/** A server of a fleet, and what a test does to it. */
export interface Machine extends Server.Service {
  /** It can be reached no more. */
  readonly down: Effect.Effect<void>
  /** It can be reached again, as soon as it is dialed. */
  readonly up: Effect.Effect<void>
  /** It takes connections and commands, and answers nothing. */
  readonly freeze: Effect.Effect<void>
  /** It has no memory for jobs. */
  readonly fill: Effect.Effect<void>
}

const LETTERS = "abcdefghijklmnopqrstuvwxyz".split("")

export const NAMES = LETTERS.slice(0, 8)

const machine = (server: Server.Service): Machine => {
  const inject = (faults: Server.Faults) => Effect.orDie(server.injectFaults(faults))
  return {
    ...server,
    down: Effect.andThen(inject({ refuse: true }), server.dropConnections),
    up: inject({}),
    freeze: inject({ mute: true }),
    fill: inject({ shortage: "jobs" })
  }
}

/** Machines of these names. */
export const machines = (names: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<Machine>, never, Scope.Scope> =>
  Effect.forEach(names, (name) => Effect.map(Effect.orDie(Server.makeMemory({ name })), machine))

/** What a list of servers says of machines. */
export const listOf = (all: ReadonlyArray<Machine>): ReadonlyArray<Fleet.ServerOptions> =>
  all.map(({ clientOptions, server }) => ({ ...clientOptions, name: server }))

/** Lets fibers run that wait for nothing but each other. */
export const settle: Effect.Effect<void> = TestClock.adjust(0).pipe(
  Effect.andThen(Effect.yieldNow),
  Effect.repeat({ times: 20 })
)

/** Lets time pass, in steps of 10 milliseconds that give every answer its turn. */
export const pass = (millis: number): Effect.Effect<void> =>
  Effect.repeat(Effect.andThen(TestClock.adjust(10), settle), { times: Math.max(0, Math.ceil(millis / 10) - 1) })

/** How the fleet sees its servers, by name. */
export const statusOf = (fleet: Fleet.Service) =>
  Effect.map(fleet.servers, (all) => Object.fromEntries(all.map(({ server, status }) => [server, status])))

/** Where each of so many puts without a key has gone. */
export const putsOf = (fleet: Fleet.Service, count: number, options?: Client.PutOptions) =>
  Effect.map(
    Effect.forEach(Array.from({ length: count }, (_, i) => String(i)), (body) => fleet.put("work", body, options)),
    (refs) => refs.map(({ server }) => server)
  )

/** A key for each server, by the server's name. */
export const keysOf = Effect.fnUntraced(function*(fleet: Fleet.Service) {
  const keys: Record<string, string> = {}
  const wanted = (yield* fleet.servers).length
  for (let i = 0; Object.keys(keys).length < wanted && i < 1000; i++) {
    const { server } = yield* fleet.put("keys", "", { key: `key ${i}` })
    keys[server] ??= `key ${i}`
  }
  return keys
})

type Test<A, E> = (
  fleet: Fleet.Service,
  ...machines: ReadonlyArray<Machine>
) => Effect.Effect<A, E, Client.Beanstalkd | Scope.Scope>

/** Runs a test on a fleet of `count` machines, a, b, c, ..., all of which are up. Nothing is logged. */
export const onFleet = <A, E>(count: number, test: Test<A, E>, options: Omit<Fleet.Options, "servers"> = {}) =>
  Effect.gen(function*(): Effect.gen.Return<A, E | Errors.BeanstalkdError, Scope.Scope> {
    const all = yield* machines(LETTERS.slice(0, count))
    const fleet = yield* Fleet.make({ ...options, servers: listOf(all) })
    yield* settle
    return yield* Effect.provideService(test(fleet, ...all), Client.Beanstalkd, fleet)
  }).pipe(Effect.scoped, quietly)
