/**
 * Servers that are interrupted while they start, serve and end: nobody listens, nothing is open, no fiber runs afterwards.
 */
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scheduler, type Scope } from "effect"
import { Connection, Server } from "effect-beanstalkd"
import { eventually } from "../../support/Eventually.ts"
import { type Mode, Stepper } from "./Stepper.ts"

const STRIDE = process.env["INTERRUPTION_FULL"] === "1" ? 1 : 10

let points = 0
afterAll(() => console.log(`interrupted at ${points} points`))

/** Sockets and servers of this process. */
const handles = (): number => process.getActiveResourcesInfo().filter((kind) => /^(TCP|Pipe).*Wrap$/.test(kind)).length

const nothingIsLeft = (before: number, { fibers }: Stepper) =>
  eventually(Effect.sync(() => {
    assert.isAtMost(handles(), before, "a socket or a server is left")
    assert.strictEqual([...fibers].filter((fiber) => fiber.pollUnsafe() === undefined).length, 0, "a fiber is left")
  }))

const interruptAt = Effect.fnUntraced(function*<E>(effect: Effect.Effect<unknown, E>, mode: Mode, at: number) {
  const before = handles()
  const stepper = new Stepper(yield* Effect.fiber)
  const victim = yield* Effect.forkChild(Effect.provideService(effect, Scheduler.Scheduler, stepper))
  stepper.arm(victim, mode, at)
  yield* eventually(Effect.sync(() => assert.isDefined(victim.pollUnsafe(), "it hangs")))
  yield* nothingIsLeft(before, stepper)
  const exit = victim.pollUnsafe()!
  assert.isTrue(Exit.isSuccess(exit) || stepper.hasInterrupted, "failed by itself")
  return stepper.hasInterrupted
})

const interruptEverywhere = Effect.fnUntraced(function*<E>(effect: Effect.Effect<unknown, E>) {
  for (const mode of ["between", "during"] as const) {
    for (let at = mode === "between" ? 1 : 1 + STRIDE >> 1;; at += STRIDE) {
      points++
      if (!(yield* interruptAt(effect, mode, at))) break
    }
  }
})

const putOn = (server: Server.Service) =>
  Effect.flatMap(Connection.make(server.clientOptions), (connection) => connection.put("hello"))

const onSocket = <A, E>(use: (server: Server.Service) => Effect.Effect<A, E, Scope.Scope>) =>
  Effect.scoped(Effect.flatMap(Server.make({ port: 0 }), use))

const inMemory = <A, E>(use: (server: Server.Service) => Effect.Effect<A, E, Scope.Scope>) =>
  Effect.scoped(Effect.flatMap(Server.makeMemory(), use))

const members: Record<
  Exclude<keyof Server.Service, "server" | "port" | "clientOptions">,
  Effect.Effect<unknown, unknown>
> = {
  drain: inMemory(({ drain }) => drain),
  connectionCount: inMemory(({ connectionCount }) => connectionCount),
  dropConnections: inMemory((server) => Effect.andThen(putOn(server), server.dropConnections)),
  injectFaults: inMemory(({ injectFaults }) => injectFaults({ split: 1 })),
  restart: inMemory((server) => Effect.andThen(putOn(server), server.restart)),
  failure: inMemory(({ failure }) => Effect.timeoutOption(failure, 1)),
  awaitReservers: inMemory((server) =>
    Effect.gen(function*() {
      const connection = yield* Connection.make(server.clientOptions)
      yield* Effect.forkScoped(connection.reserve)
      yield* server.awaitReservers("default")
    })
  )
}

const effects: Readonly<Record<string, Effect.Effect<unknown, unknown>>> = {
  "make, and a client": onSocket(putOn),
  "make, and clients that it drops": onSocket((server) =>
    Effect.gen(function*() {
      yield* putOn(server)
      yield* putOn(server)
      yield* server.dropConnections
    })
  ),
  makeMemory: inMemory(putOn),
  layer: Effect.scoped(Layer.build(Server.layer({ port: 0 }))),
  layerMemory: Effect.scoped(Layer.build(Server.layerMemory())),
  ...members
}

describe("a server", () => {
  it.live.each(Object.entries(effects))(
    "may be interrupted anywhere: %s",
    ([, effect]) => interruptEverywhere(effect),
    300_000
  )
})
