/**
 * One run of a seed: a server, its clients and the faults. After the faults have ended, all jobs must be settled within
 * a minute, and nothing may be left behind.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as EngineHost from "../../../src/internal/server/engineHost.ts"
import { internals } from "../../../src/internal/pool/internals.ts"
import { ReplyParser } from "../../../src/internal/protocol/replyReader.ts"
import { commands } from "../../../src/Protocol.ts"
import { admin } from "./Admin.ts"
import { plain, stream, worker } from "./Consumers.ts"
import { Ledger } from "./Ledger.ts"
import { Machine } from "./Machine.ts"
import { Nemesis } from "./Nemesis.ts"
import { type Link, Network } from "./Network.ts"
import { planOf, tubesOf } from "./Plan.ts"
import { producer } from "./Producer.ts"
import { Refuser } from "./Refuser.ts"
import { Run } from "./Run.ts"
import { Witness } from "./Witness.ts"
import { Process, World } from "./World.ts"
import { poolOf } from "../../../src/internal/client/internals.ts"

/** The result of a run. */
export interface Result {
  readonly seed: number
  readonly violations: ReadonlyArray<string>
  readonly virtualMillis: number
  readonly hash: string
  readonly events: number
  readonly puts: number
  readonly jobs: number
  readonly acknowledged: number
  readonly faults: number
  readonly tail: ReadonlyArray<string>
}

// The statistics travel over the network, so they must have the same length in every run.
const FACTS = {
  pid: 1,
  version: "simulated",
  id: "0123456789abcdef",
  hostname: "simulated",
  os: "none",
  platform: "none",
  cpuMicros: () => ({ user: 0, system: 0 })
}

const MINUTE = 60_000

/** Records when a client hears of its leases. Replies arrive in the order in which the server gave the jobs. */
const watchDeliveries = (ledger: Ledger, network: Network) => {
  const parsers = new WeakMap<Link, ReplyParser>()
  network.onDelivery = (link, piece) => {
    let parser = parsers.get(link)
    if (parser === undefined) {
      parser = new ReplyParser(2 ** 26, ({ fields, word }) => {
        if (word !== "RESERVED") return true
        const lease = ledger.leases.get(link)?.find((lease) => lease.deliveredAt === undefined)
        if (String(lease?.job.id) === fields[0]) lease!.deliveredAt = ledger.world.steps
        else {ledger.world.violate(
            `${link.name} was told of job ${String(fields[0])}, and has ${lease?.job.id ?? "none"}`
          )}
        return true
      })
      parsers.set(link, parser)
    }
    parser.push(piece)
  }
}

const machinesOf = (run: Run): ReadonlyArray<Machine> => {
  const { plan } = run
  const machines: Array<Machine> = []
  const add = (name: string, program: ConstructorParameters<typeof Machine>[2]) =>
    machines.push(new Machine(run, name, program))
  for (const worked of plan.worked) {
    const { retry, tube, workers } = worked
    run.ledger.rules.set(tube, { ...worked, retryDelay: retry.delay })
    for (let n = 1; n <= workers; n++) add(`${tube}-worker-${n}`, worker(run, worked))
  }
  if (plan.streamed !== undefined) add("streamer", stream(run, plan.streamed))
  if (plan.plain !== undefined) add("reader", plain(run, plan.plain.tubes, plan.plain.hands))
  for (let n = 1; n <= plan.producers; n++) add(`producer-${n}`, producer(run))
  for (let n = 1; n <= plan.admins; n++) add(`admin-${n}`, admin(run))
  return machines
}

/** Runs a seed. */
export const simulate = (seed: number): Result => {
  const world = new World(seed)
  const dice = world.dice(3)
  const plan = planOf(dice)
  const ledger = new Ledger(world)
  ledger.isCalm = plan.faults === 0
  ledger.mayLosePuts = !ledger.isCalm || plan.silenceSeconds !== undefined
  const server = new Process(world, "server")
  const serverScope = Scope.makeUnsafe()
  let deadline = MINUTE

  const starting = server.fork(Scope.provide(EngineHost.make({ facts: FACTS }), serverScope))
  world.run(starting, () => deadline)
  const started = starting.pollUnsafe()
  if (started === undefined || Exit.isFailure(started)) throw new Error("the server did not start")
  const host = started.value
  const { store } = host.engine

  const witness = new Witness(ledger, store)
  witness.know(() => host.engine.shortage === "queues", () => network.sender)
  witness.knowLimit((process) => run.maxReplySizeOf(process))
  const refuser = new Refuser(ledger, store)
  const network: Network = new Network(world, server, (link) => {
    const conn = host.accept(link.output)
    if (conn === undefined) return undefined
    witness.meet(link, conn.reserver)
    refuser.meet(link, conn)
    return conn
  })
  if (plan.silenceSeconds !== undefined) network.silenceMillis = plan.silenceSeconds * 1000
  network.onWrite = (link, bytes) => {
    if (Buffer.from(bytes).includes("reserve-with-timeout ")) ledger.asks(link)
  }
  network.onSilence = (link) => ledger.onSilence(link)
  const run = new Run(world, plan, dice, network, ledger)
  watchDeliveries(ledger, network)
  world.onRest = () => ledger.checkAtRest(run.commandTimeoutMillis)

  const machines = machinesOf(run)
  const nemesis = new Nemesis(run, host, machines, refuser, () => witness.forgetPauses(), () => witness.forgetJobs())
  const director = new Process(world, "director")
  const check = (isRight: boolean, what: () => string) => {
    if (!isRight) world.violate(what())
  }
  const until = (condition: () => boolean) =>
    Effect.gen(function*() {
      while (!condition()) yield* Effect.sleep(100)
    })

  const isDrained = () =>
    machines.every((machine) => machine.isOver || !/^(producer|admin)/.test(machine.name)) &&
    tubesOf(plan).every((name) => {
      const tube = store.tubes.get(name)
      return tube === undefined || (tube.ready.size === 0 && tube.delayed.size === 0 && tube.reserved === 0)
    })

  const script = Effect.gen(function*() {
    const trouble = yield* Effect.forkChild(nemesis.work)
    yield* Effect.sleep(plan.seconds * 1000)
    run.isOn = false
    nemesis.heal()
    trouble.interruptUnsafe()
    deadline = world.now + MINUTE
    // Programs that were told to end during the faults start again.
    yield* until(() => {
      // What is delayed has a minute from then on.
      for (const { notBefore, state } of ledger.jobs.values()) {
        if (state === "delayed") deadline = Math.max(deadline, notBefore + MINUTE)
      }
      for (const machine of machines) if (machine.isOver && !/^(producer|admin)/.test(machine.name)) machine.start()
      return isDrained()
    })
    // A put of a producer that has ended can still be on its way, and is a job to be worked on as any other.
    yield* Effect.sleep(10_000)
    yield* until(isDrained)
    world.tell("all is done")
    deadline = world.now + MINUTE
    yield* checkPools
    for (const machine of machines) if (!machine.isOver) machine.stop()
    yield* until(() => machines.every(({ isOver }) => isOver))
    // The other ends of closed connections close as well.
    yield* Effect.sleep(10_000)
  })

  // Borrows all connections of each pool at once.
  const checkPools = Effect.gen(function*() {
    for (const { process } of machines) {
      const client = run.clients.get(process)
      if (client === undefined || /^(reader|producer|admin)/.test(process.name)) continue
      const all = Array.from(
        { length: plan.poolConnections },
        () =>
          Effect.flatMap(
            internals(poolOf(client)).take(["nobody"]),
            (pipeline) => pipeline.run(commands.listTubesWatched)
          )
      )
      const fiber = process.fork(Effect.scoped(Effect.asVoid(Effect.all(all))))
      yield* until(() => fiber.pollUnsafe() !== undefined)
      const exit = fiber.pollUnsafe()!
      if (Exit.isFailure(exit)) {
        world.violate(`${process.name} cannot have its connections: ${Cause.pretty(exit.cause)}`)
      }
      const stats = process.fork(client.poolStats)
      yield* until(() => stats.pollUnsafe() !== undefined)
      const found = stats.pollUnsafe()!
      if (Exit.isSuccess(found)) {
        const { used, waiting } = found.value
        check(used === 0 && waiting === 0, () => `${process.name} has ${used} connections in use, ${waiting} wait`)
      }
    }
  })

  const checkEnd = () => {
    for (const { process } of machines) {
      check(process.fibers === 0, () => `${process.name} left ${process.fibers} fibers behind`)
      check(process.timers === 0, () => `${process.name} left ${process.timers} timers behind`)
    }
    check(
      ledger.runs.size === 0,
      () =>
        `handlers have never ended: ${[...ledger.runs].map(({ job, process }) => `${process.name} ${job.id}`).join()}`
    )
    check(network.links.size === 0, () => `connections are still open: ${[...network.links].map(String).join()}`)
    check(host.engine.connectionCount === 0, () => `the server still has ${host.engine.connectionCount} connections`)
    for (const { heard, job, key } of ledger.puts.values()) {
      check(heard !== "acknowledged" || job !== undefined, () => `put ${key} was acknowledged, and never came`)
    }
    for (const { id, put, state } of ledger.jobs.values()) {
      if (state === "gone") continue
      check(store.jobs.get(id) !== undefined, () => `job ${id} (put ${put.key}) is lost`)
    }
    for (const { id, state, tube } of store.jobs.values()) {
      check(state === "buried" || !tubesOf(plan).includes(tube.name), () => `job ${id} is ${state}, and out of reach`)
      check(ledger.jobs.get(id)?.state !== "gone", () => `job ${id} was deleted, and is still there`)
    }
  }

  const remains = () => {
    for (const { deadline, holder, id, state, tube } of store.jobs.values()) {
      const lease = ledger.jobs.get(id)?.lease
      const by = holder === undefined ? "" : ` by ${String(lease?.link)} until ${deadline}`
      world.tell(`remains: job ${id} in ${tube.name}, ${state}${by}`)
    }
    for (const { job, process } of ledger.runs) world.tell(`remains: ${process.name} works on ${job.id}`)
    for (const { isOver, name } of machines) if (!isOver) world.tell(`remains: ${name}`)
    for (const link of network.links) world.tell(`remains: ${String(link)}`)
  }

  const main = director.fork(script)
  main.addObserver((exit) => {
    if (Exit.isFailure(exit)) world.violate(`the director failed: ${Cause.pretty(exit.cause)}`)
  })
  deadline = plan.seconds * 1000 + MINUTE
  world.run(main, () => deadline)
  if (world.violations.length === 0) checkEnd()
  else remains()

  return {
    seed,
    violations: world.violations,
    virtualMillis: world.now,
    hash: world.trace.hash,
    events: world.trace.events,
    puts: ledger.puts.size,
    jobs: ledger.jobs.size,
    acknowledged: [...ledger.puts.values()].filter(({ heard }) => heard === "acknowledged").length,
    faults: nemesis.faults,
    tail: world.trace.tail
  }
}
