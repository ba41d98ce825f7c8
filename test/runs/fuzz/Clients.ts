/**
 * Hostile clients: connections of the embedded server that send anything, read when they please and go when they please.
 * Each command gets the one reply that an oracle allows, in order; what they may take is bounded; and when they have
 * gone, nothing of them is left, and a client that behaves has lost nothing.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { TestClock } from "effect/testing"
import * as EngineHost from "../../../src/internal/server/engineHost.ts"
import assert from "node:assert/strict"
import { Dice, seedOf } from "../../conformance/Dice.ts"
import { host as facts } from "../../conformance/EngineTarget.ts"
import { censusOf } from "../../support/Census.ts"
import { check, Jobs } from "./Answers.ts"
import { split } from "./Mutations.ts"
import { Hostile, NOBODY, Tame } from "./Peers.ts"
import { flood, parts, withIds } from "./Streams.ts"

export interface Tally {
  readonly commands: number
  readonly connections: number
  readonly turnedAway: number
  readonly cutOff: number
  readonly outOfMemory: number
}

// What each connection counts, whether there is room or not: that it watches "default".
const PLACE = 256

// A server that takes so long to go on does not.
const MAX_TURNS = 10_000

const settled = Effect.fnUntraced(function*(clients: ReadonlyArray<Hostile>) {
  for (let turns = 0; clients.some(({ isDeferred }) => isDeferred); turns++) {
    assert.ok(turns < MAX_TURNS, "it never goes on")
    yield* Effect.yieldNow
  }
})

const hostile = (dice: Dice, host: EngineHost.EngineHost): Hostile => {
  const { maxJobSize } = host.engine
  const isGreedy = dice.chance(0.1)
  const said = parts(dice, dice.int(5, 40), maxJobSize).concat(isGreedy ? flood(dice, maxJobSize) : [])
  // The first jobs are those of the client that behaves.
  const pieces = split(dice, withIds(said.join(""), BigInt(dice.int(1, 20))))
  const client = new Hostile(host, {
    pieces: dice.chance(0.3) ? pieces.slice(0, dice.int(0, pieces.length)) : pieces,
    end: dice.chance(0.7) ? "halfClose" : "cut",
    isDeferred: dice.chance(0.5)
  })
  if (isGreedy && dice.chance(0.7)) client.stopReading()
  return client
}

/** Has hostile clients do their worst, side by side. */
const play = Effect.fnUntraced(function*(dice: Dice, host: EngineHost.EngineHost, tame: Tame, most: number) {
  const { engine } = host
  const { memory } = engine.store
  const clients: Array<Hostile> = []
  const active = new Set<Hostile>()
  let turnedAway = 0
  const come = () => {
    if (engine.connectionCount < most) {
      const client = hostile(dice, host)
      clients.push(client)
      active.add(client)
      return
    }
    assert.equal(host.accept(NOBODY), undefined, "one more than it takes")
    turnedAway++
  }
  const isBounded = () => {
    assert.ok(engine.connectionCount <= most, "more connections than it takes")
    assert.ok(memory.taken <= memory.limit + engine.connectionCount * PLACE, "more memory than it takes")
  }
  const act = (client: Hostile) => {
    switch (dice.weighted({ send: 20, stop: 1, start: 0.2, ask: 1 })) {
      case "send":
        return client.goOn() ? undefined : active.delete(client)
      case "stop":
        return client.stopReading()
      case "start":
        return client.startReading()
      case "ask":
        return tame.isServed()
    }
  }
  const arrivals = dice.int(1, 6)
  for (let arrived = 1; arrived <= arrivals; arrived++) {
    come()
    const patience = arrived === arrivals ? 1 : 0.95
    while (active.size > 0 && dice.chance(patience)) {
      act(dice.one([...active]))
      if (dice.chance(0.1)) yield* Effect.yieldNow
      isBounded()
    }
  }
  for (const client of clients) if (!client.isOver) client.startReading()
  yield* settled(clients)
  isBounded()
  return { clients, turnedAway }
})

/** Whether the jobs that are left may be there, and take nothing with them when they go. */
const leavesNothing = ({ engine }: EngineHost.EngineHost, tame: Tame, jobs: Jobs, taken: number): void => {
  const { store } = engine
  assert.equal(engine.connectionCount, 1, "connections are left")
  assert.deepEqual(censusOf(store).contradictions, [])
  for (const { body, id } of Array.from(store.jobs.values())) {
    if (tame.owns(String(id))) continue
    assert.ok(jobs.bodies.has(body.toString("latin1")), "a job that nobody has put")
    assert.equal(tame.ask(`delete ${id}`), "DELETED\r\n")
  }
  assert.deepEqual(Array.from(store.tubes.values(), ({ name }) => name).sort(), ["default", "tame"])
  assert.equal(store.memory.taken, taken, "memory is not given back")
  tame.hasLostNothing()
  tame.leave()
  assert.deepEqual([store.memory.taken, engine.connectionCount], [0, 0], "something is left")
}

/** A server and those who are against it. */
const round = Effect.fnUntraced(function*(seed: number) {
  const dice = new Dice(seed)
  const maxJobSize = Number(dice.weighted({ 100: 6, 65_535: 2, 200_000: 1 }))
  const maxMemory = dice.chance(0.3) ? dice.int(3, 12) * 1024 : undefined
  const maxClients = dice.chance(0.3) ? dice.int(2, 5) : Infinity
  const host = yield* EngineHost.make({ facts, maxClients, maxMemory, maxJobSize })
  const tame = new Tame(host)
  const { taken } = host.engine.store.memory
  const { clients, turnedAway } = yield* play(dice, host, tame, maxClients)
  const jobs = new Jobs()
  const checked = clients.map((client) => check(client, maxJobSize, maxMemory !== undefined, jobs))
  jobs.check((id) => tame.owns(id))
  leavesNothing(host, tame, jobs, taken)
  const tally: Tally = {
    commands: checked.reduce((sum, { commands }) => sum + commands, 0),
    connections: clients.length,
    turnedAway,
    cutOff: clients.filter(({ end }) => end === "cut").length,
    outOfMemory: checked.reduce((sum, { outOfMemory }) => sum + outOfMemory, 0)
  }
  return tally
}, Effect.scoped)

/** So many commands, from this seed. */
export const run = Effect.fnUntraced(function*(seed: number, count: number) {
  let tally: Tally = { commands: 0, connections: 0, turnedAway: 0, cutOff: 0, outOfMemory: 0 }
  for (let n = 0; tally.commands < count; n++) {
    const one = yield* Effect.catchCause(
      round(seedOf(seed, n)),
      (cause) => Effect.die(new Error(`round ${n} of seed ${seed}`, { cause: Cause.squash(cause) }))
    )
    tally = {
      commands: tally.commands + one.commands,
      connections: tally.connections + one.connections,
      turnedAway: tally.turnedAway + one.turnedAway,
      cutOff: tally.cutOff + one.cutOff,
      outOfMemory: tally.outOfMemory + one.outOfMemory
    }
  }
  return tally
}, Effect.provide(TestClock.layer()))
