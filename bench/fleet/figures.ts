/**
 * What is measured of a fleet, and what each figure must be.
 */
import { Client, Fleet, Tube, Worker } from "effect-beanstalkd"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { real, type Start, withServer } from "../beanstalkd.ts"
import { median } from "../statistics.ts"
import { BODY_BYTES } from "../support.ts"

/** One figure of the report. */
export interface Figure {
  readonly figure: string
  readonly value: string
  readonly unit: string
  readonly target: string
  readonly isMet: boolean
}

const OPS = 40_000
const DURABLE_PUTS = 6000
const FIBERS = 64
// Each put waits for a disk, so that many must be on the way.
const DURABLE_FIBERS = 512
const LATENCIES = 60

const Jobs = Tube.make("jobs", { codec: "bytes" })

const server = (start: Start): Effect.Effect<number, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(() =>
        new Promise<{ readonly port: number; readonly end: () => void }>((resolve, reject) => {
          withServer(start, "any", (port) => new Promise<void>((end) => resolve({ port, end }))).catch(reject)
        })
      ),
      ({ end }) => Effect.sync(end)
    ),
    ({ port }) => port
  )

const servers = (count: number, start: Start) => Effect.forEach(Array.from({ length: count }), () => server(start))

const fleetOf = (ports: ReadonlyArray<number>) =>
  Effect.gen(function*() {
    const fleet = yield* Fleet.make({ servers: ports.map((port) => `beanstalk://127.0.0.1:${port}`) })
    const isUp = Effect.map(fleet.servers, (servers) => servers.every(({ status }) => status === "up"))
    yield* Effect.repeat(Effect.andThen(Effect.sleep("5 millis"), isUp), { until: (isUp) => isUp })
    return fleet
  })

/** CPU in microseconds per op. */
const cpuOf = <A, E, R>(ops: number, effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const before = process.cpuUsage()
    return Effect.map(effect, () => {
      const { system, user } = process.cpuUsage(before)
      return (system + user) / ops
    })
  })

const puts = (client: Client.Service, ops: number, fibers: number) => {
  let left = ops
  const loop = Effect.whileLoop({ while: () => left-- > 0, body: () => client.put("puts", BODY_BYTES), step: () => {} })
  return Effect.all(Array.from({ length: fibers }, () => loop), { concurrency: "unbounded", discard: true })
}

const work = (client: Client.Service) =>
  Effect.gen(function*() {
    yield* Jobs.putAll(Array.from({ length: OPS }, () => BODY_BYTES))
    const done = yield* Latch.make()
    let handled = 0
    const handle = () => ++handled === OPS ? done.open : Effect.void
    return yield* cpuOf(
      OPS,
      Effect.raceFirst(Worker.run(Jobs, handle, { concurrency: FIBERS, crashGuard: false }), done.await)
    )
  }).pipe(Effect.provideService(Client.Beanstalkd, client))

// Pairs of one round each, so that what else the machine does concerns both.
const ratios = <E>(
  rounds: number,
  of: (client: Client.Service) => Effect.Effect<number, E>,
  fleet: Client.Service,
  one: Client.Service
) =>
  Effect.gen(function*() {
    yield* of(one)
    yield* of(fleet)
    const all: Array<number> = []
    for (let round = 0; round < rounds; round++) {
      const alone = yield* of(one)
      all.push((yield* of(fleet)) / alone)
    }
    return median(all)
  })

const atMost = (figure: string, value: number, unit: string, most: number): Figure => {
  return { figure, value: value.toFixed(2), unit, target: `at most ${most}`, isMet: value <= most }
}

const ofPuts = (rounds: number, count: number, most: number) =>
  Effect.scoped(Effect.gen(function*() {
    const ports = yield* servers(count, real)
    const one = yield* Client.make({ port: ports[0]! })
    const cpu = (client: Client.Service) => cpuOf(OPS, puts(client, OPS, FIBERS))
    const value = yield* ratios(rounds, cpu, yield* fleetOf(ports), one)
    return atMost(`put over ${count} servers`, value, "CPU, of one client", most)
  }))

const ofWorkers = (rounds: number, count: number, most: number) =>
  Effect.scoped(Effect.gen(function*() {
    const ports = yield* servers(count, real)
    const one = yield* Client.make({ port: ports[0]! })
    const value = yield* ratios(rounds, work, yield* fleetOf(ports), one)
    return atMost(`worker over ${count} servers`, value, "CPU, of one client", most)
  }))

const idle = Effect.scoped(Effect.gen(function*() {
  const fleet = yield* fleetOf(yield* servers(8, real))
  const got = yield* Latch.make()
  const millis: Array<number> = []
  let at = 0
  const handle = () => {
    millis.push(performance.now() - at)
    return got.open
  }
  yield* Effect.forkScoped(
    Effect.provideService(Worker.run(Jobs, handle, { concurrency: 1 }), Client.Beanstalkd, fleet)
  )
  yield* Effect.sleep("1 second")
  const seconds = 5
  const cpu = yield* cpuOf(seconds * 10_000, Effect.sleep(seconds * 1000))
  for (let i = 0; i < LATENCIES; i++) {
    yield* got.close
    at = performance.now()
    yield* fleet.put(Jobs.name, BODY_BYTES)
    yield* got.await
    yield* Effect.sleep("20 millis")
  }
  return [
    atMost("concurrency 1 over 8 idle servers", cpu, "% of a CPU", 1),
    atMost("the same, put to handler", median(millis), "ms, median", 30)
  ]
}))

const durable = (root: string): Start => (port) => {
  const dir = join(root, String(port))
  return ["sh", "-c", `mkdir -p ${dir} && exec beanstalkd -l 127.0.0.1 -p ${port} -b ${dir} -f0`]
}

const rateOf = (client: Client.Service) =>
  Effect.suspend(() => {
    const began = performance.now()
    return Effect.map(puts(client, DURABLE_PUTS, DURABLE_FIBERS), () => DURABLE_PUTS / (performance.now() - began))
  })

const ofDurablePuts = (rounds: number) =>
  Effect.scoped(Effect.gen(function*() {
    const root = yield* Effect.acquireRelease(
      Effect.promise(() => mkdtemp(join(tmpdir(), "bs-"))),
      (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
    )
    const ports = yield* servers(4, durable(root))
    const one = yield* Client.make({ port: ports[0]! })
    const value = yield* ratios(rounds, rateOf, yield* fleetOf(ports), one)
    return {
      figure: "durable puts (-f0), 4 servers",
      value: value.toFixed(2),
      unit: "a second, of one server",
      target: "at least 3",
      isMet: value >= 3
    }
  }))

/** Measures all figures. */
export const measure = (rounds: number) =>
  Effect.gen(function*() {
    return [
      yield* ofPuts(rounds, 16, 1.2),
      yield* ofWorkers(rounds, 8, 1.15),
      yield* ofWorkers(rounds, 64, 1.5),
      ...(yield* idle),
      yield* ofDurablePuts(rounds)
    ]
  })
