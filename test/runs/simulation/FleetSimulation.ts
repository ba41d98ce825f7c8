/**
 * One run of a seed with a fleet: 2 to 8 servers, each behind a network of its own, producers and workers that use them as
 * one, and faults of single servers. Jobs are known by their payload, since each server counts for itself.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Client from "../../../src/Client.ts"
import * as Errors from "../../../src/Errors.ts"
import * as Fleet from "../../../src/Fleet.ts"
import * as EngineHost from "../../../src/internal/server/engineHost.ts"
import * as Isolation from "../../../src/internal/worker/isolation.ts"
import * as Tube from "../../../src/Tube.ts"
import * as Worker from "../../../src/Worker.ts"
import type { Dice } from "../../conformance/Dice.ts"
import { type Link, Network } from "./Network.ts"
import type { Result } from "./Simulation.ts"
import { Process, World } from "./World.ts"

const MINUTE = 60_000

const TUBE = "work"

const Work = Tube.make(TUBE, { codec: "text" })

// For how long a worker may leave a ready job alone while a handler is free, on a calm day.
const LONGEST_LEAVE_MILLIS = 1500

const FAULTS = { kill: 4, freeze: 4, drain: 2, noMemory: 2, partition: 4, reset: 4, leave: 2, end: 1 } as const

/** The cast of a run. */
interface Plan {
  readonly mode: "faults" | "trickle" | "backlog"
  readonly servers: number
  readonly producers: number
  readonly workers: number
  readonly concurrency: number
  readonly putsPerProducer: number
  readonly handlerMillis: number
  readonly seconds: number
  readonly faultsPerSecond: number
  readonly patienceMillis: number
  /** Whether the list of servers is a stream, so that servers can join and leave. */
  readonly isListed: boolean
  readonly isKeyed: boolean
}

const planOf = (dice: Dice): Plan => {
  const mode = dice.one(["faults", "faults", "faults", "trickle", "backlog"] as const)
  const servers = dice.int(2, 8)
  return {
    mode,
    servers,
    producers: mode === "backlog" ? 0 : dice.int(1, 2),
    workers: mode === "faults" ? dice.int(1, 2) : 1,
    concurrency: dice.one([1, 1, 2, 3, 5, 8, 16]),
    putsPerProducer: dice.int(10, 50),
    handlerMillis: dice.one([0, 5, 20, 200]),
    seconds: dice.int(4, 16),
    faultsPerSecond: dice.one([0.5, 1, 2]),
    patienceMillis: dice.one([0, 500, 3000, 10_000]),
    isListed: mode === "faults" && dice.chance(0.5),
    isKeyed: dice.chance(0.3)
  }
}

/** A put, and what is known of its job. */
interface Put {
  readonly key: string
  heard: "nothing" | "acknowledged" | "notDone" | "unknown"
  /** The server and the id of its job. */
  at: string | undefined
  isGone: boolean
  /** How often a handler has come to its end. */
  runs: number
}

/** One server and its network. */
interface Site {
  readonly name: string
  readonly host: EngineHost.EngineHost
  readonly network: Network
  /** How many of its jobs handlers have begun. */
  begun: number
  /** Since when it has had a ready job while a handler was free. */
  leftSince: number | undefined
  isListed: boolean
}

/** A program that can be ended, killed and started again. */
interface Actor {
  readonly name: string
  process: Process
  main: Fiber.Fiber<void>
  readonly boot: () => void
  running: number
}

class FleetRun {
  readonly world: World
  readonly plan: Plan
  readonly dice: Dice
  readonly trouble: Dice
  readonly puts = new Map<string, Put>()
  readonly sites: Array<Site> = []
  readonly actors: Array<Actor> = []
  isOn = true
  faults = 0
  isFull = false
  hasBacklog = false
  #nextKey = 0

  constructor(seed: number) {
    this.world = new World(seed)
    this.dice = this.world.dice(13)
    this.trouble = this.world.dice(14)
    this.plan = planOf(this.dice)
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Servers
  // -------------------------------------------------------------------------------------------------------------------

  addSite(name: string): void {
    const { world } = this
    const process = new Process(world, name)
    const starting = process.fork(Scope.provide(EngineHost.make({}), Scope.makeUnsafe()))
    world.run(starting, () => MINUTE)
    const started = starting.pollUnsafe()
    if (started === undefined || Exit.isFailure(started)) throw new Error("a server did not start")
    const host = started.value
    const network = new Network(world, process, (link) => host.accept(link.output), name)
    network.hasBacklog = true
    const site: Site = { name, host, network, begun: 0, leftSince: undefined, isListed: true }
    this.#watchStore(site)
    const proven = new WeakSet<Link>()
    network.onDelivery = (link) => proven.add(link)
    network.onWrite = (link, bytes) => {
      if (proven.has(link) || !Buffer.from(bytes).toString("latin1").startsWith("put ", 0)) return
      world.violate(`${link.name}: a put to ${name}, which has not answered on this connection`)
    }
    this.sites.push(site)
  }

  #watchStore({ host: { engine: { store } }, name }: Site): void {
    const put = store.put.bind(store)
    const remove = store.delete.bind(store)
    store.put = (id, tube, body, pri, delay, ttr) => {
      if (tube.name === TUBE) this.#onJob(Buffer.from(body as Uint8Array).toString(), `${name}/${id}`)
      put(id, tube, body, pri, delay, ttr)
    }
    store.delete = (id, reserver) => {
      const job = store.jobs.get(id)
      const isDone = remove(id, reserver)
      if (isDone && job !== undefined) this.#onDeleted(`${name}/${id}`)
      return isDone
    }
  }

  #onJob(key: string, at: string): void {
    const put = this.puts.get(key)
    this.world.tell(`${at} is put ${key}`)
    if (put === undefined) return this.world.violate(`${at} is no put of ours`)
    if (put.at !== undefined) this.world.violate(`put ${key} became ${put.at}, and then ${at}`)
    if (put.heard === "notDone") this.world.violate(`put ${key} was refused, and became ${at}`)
    put.at = at
  }

  #onDeleted(at: string): void {
    for (const put of this.puts.values()) {
      if (put.at !== at) continue
      put.isGone = true
      if (put.runs === 0) this.world.violate(`${at} (put ${put.key}) was deleted, and no handler has done it`)
    }
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Programs
  // -------------------------------------------------------------------------------------------------------------------

  #fleet(process: Process) {
    process.servers = this.sites.length
    const of = ({ name, network }: Site): Fleet.ServerOptions => ({
      name,
      dialer: network.dialer(process)
    })
    const all = this.sites.map(of)
    const lists = Stream.fromEffectRepeat(
      Effect.andThen(Effect.sleep(200), Effect.sync(() => all.filter((_, at) => this.sites[at]!.isListed)))
    )
    return Fleet.make({
      servers: this.plan.isListed ? lists : all,
      patience: this.plan.patienceMillis
    })
  }

  addActor(name: string, program: (fleet: Fleet.Service, actor: Actor) => Effect.Effect<void, unknown, Scope.Scope>) {
    let starts = 0
    // A fault that ends, and the end of all faults, may both start it.
    const boot = (): void => {
      if (starts > 0 && actor.process.isAlive) return
      const process = actor.process = new Process(this.world, `${name}.${++starts}`)
      actor.running = 0
      this.world.tell(`${process.name} starts`)
      actor.main = process.fork(
        Effect.flatMap(this.#fleet(process), (fleet) => program(fleet, actor)).pipe(
          Effect.scoped,
          Effect.provideService(Isolation.Current, new Isolation.Isolation()),
          Effect.catchCause((cause) =>
            Effect.sync(() => {
              if (!Cause.hasInterruptsOnly(cause)) this.world.violate(`${process.name} ended: ${Cause.pretty(cause)}`)
            })
          )
        )
      )
    }
    const actor = { name, boot, running: 0 } as unknown as Actor
    boot()
    this.actors.push(actor)
  }

  began(): Put {
    const key = `k${++this.#nextKey}`
    const put: Put = { key, heard: "nothing", at: undefined, isGone: false, runs: 0 }
    this.puts.set(key, put)
    return put
  }

  #conclude(put: Put, exit: Exit.Exit<{ readonly server: string; readonly id: number }, unknown>): void {
    const { world } = this
    if (Exit.isSuccess(exit)) {
      const at = `${exit.value.server}/${exit.value.id}`
      put.heard = "acknowledged"
      if (put.at !== at) world.violate(`put ${put.key} was acknowledged as ${at}, and is ${put.at ?? "nowhere"}`)
      return
    }
    const error = Cause.squash(exit.cause)
    world.tell(`put ${put.key} failed: ${String(error)}`)
    if (this.plan.mode !== "faults") world.violate(`put ${put.key} failed on a calm day: ${String(error)}`)
    if (!(error instanceof Errors.BeanstalkdError)) {
      const isRefused = error instanceof Errors.Draining || error instanceof Errors.OutOfMemory
      if (!isRefused) return world.violate(`put ${put.key}: ${String(error)}`)
    }
    const isDoubtful = error instanceof Errors.BeanstalkdError && error.sent
    put.heard = isDoubtful ? "unknown" : "notDone"
    if (!isDoubtful && put.at !== undefined) world.violate(`put ${put.key} was refused, and is ${put.at}`)
  }

  readonly produce = (fleet: Fleet.Service): Effect.Effect<void> =>
    Effect.gen({ self: this }, function*() {
      const { dice, plan } = this
      // A fleet of which no server has answered yet may fail fast.
      if (plan.mode !== "faults") yield* Effect.sleep(200)
      for (let left = plan.putsPerProducer; left > 0 && this.isOn; left--) {
        const count = dice.chance(0.2) ? dice.int(2, 6) : 1
        yield* Effect.all(
          Array.from({ length: count }, () =>
            Effect.suspend(() => {
              const put = this.began()
              const options = plan.isKeyed ? { key: `key-${dice.int(1, 9)}` } : {}
              return Effect.map(Effect.exit(fleet.put(TUBE, put.key, options)), (exit) => this.#conclude(put, exit))
            })),
          { concurrency: "unbounded", discard: true }
        )
        if (dice.chance(0.6)) yield* Effect.sleep(dice.int(1, 500))
      }
    })

  readonly workOn = (fleet: Fleet.Service, actor: Actor): Effect.Effect<void, unknown, Scope.Scope> => {
    const { concurrency, handlerMillis } = this.plan
    return Worker.run(Work, (key, job) => {
      const site = this.sites.find(({ name }) => name === job.server)
      return Effect.suspend(() => {
        actor.running++
        if (site !== undefined && !this.isFull && this.hasBacklog) site.begun++
        this.#countBacklogs()
        if (actor.running > concurrency) {
          this.world.violate(`${actor.process.name} runs ${actor.running} handlers, and may run ${concurrency}`)
        }
        return Effect.sleep(this.dice.int(1, 1 + handlerMillis))
      }).pipe(
        Effect.tap(Effect.sync(() => {
          const put = this.puts.get(key)
          if (put !== undefined) put.runs++
        })),
        Effect.ensuring(Effect.sync(() => actor.running--))
      )
    }, { concurrency, crashGuard: false, shutdownTimeout: "2 seconds" }).pipe(
      Effect.provideService(Client.Beanstalkd, fleet)
    )
  }

  /** Fills each server, and then works on all. */
  readonly fillAndWork = (fleet: Fleet.Service, actor: Actor): Effect.Effect<void, unknown, Scope.Scope> =>
    Effect.gen({ self: this }, function*() {
      yield* Effect.sleep(200)
      for (const { name } of this.sites) {
        const one = yield* fleet.on(name)
        yield* one.putAll(TUBE, Array.from({ length: 400 }, () => this.began().key))
      }
      this.hasBacklog = true
      yield* this.workOn(fleet, actor)
    })

  readyOf({ host }: Site): number {
    return host.engine.store.tubes.get(TUBE)?.ready.size ?? 0
  }

  // Shares are compared until the first backlog comes to its end.
  #countBacklogs(): void {
    if (!this.hasBacklog || this.isFull) return
    if (this.sites.some((site) => this.readyOf(site) <= this.plan.concurrency)) this.isFull = true
  }

  checkAtRest(): void {
    const { concurrency, mode } = this.plan
    const { world } = this
    if (mode === "faults" || !world.isSteady) return
    const hands = this.actors.find(({ name }) => name.startsWith("worker"))
    for (const site of this.sites) {
      if (hands === undefined || hands.running >= concurrency || this.readyOf(site) === 0 || world.now < 2000) {
        site.leftSince = undefined
      } else {
        site.leftSince ??= world.now
        if (world.now - site.leftSince > LONGEST_LEAVE_MILLIS) {
          world.violate(`a handler is free, and a job of ${site.name} has been ready since ${site.leftSince}`)
        }
      }
    }
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Faults
  // -------------------------------------------------------------------------------------------------------------------

  get nemesis(): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      while (this.isOn && this.plan.mode === "faults") {
        yield* Effect.sleep(1 + Math.ceil((this.trouble.next() * 2000) / this.plan.faultsPerSecond))
        if (!this.isOn) return
        this.faults++
        yield* Effect.forkChild(this.#bring(this.trouble.weighted(FAULTS)))
      }
    })
  }

  #for(from: number, to: number, end: () => void): Effect.Effect<void> {
    return Effect.andThen(
      Effect.sleep(this.trouble.int(from, to)),
      Effect.sync(() => {
        if (this.isOn) end()
      })
    )
  }

  #bring(fault: keyof typeof FAULTS): Effect.Effect<void> {
    const site = this.trouble.one(this.sites)
    const actor = this.trouble.one(this.actors)
    const { process } = actor
    const { host, name, network } = site
    this.world.tell(`fault: ${fault} of ${name} (${process.name})`)
    switch (fault) {
      case "kill":
        network.refuses = true
        host.engine.restart()
        return this.#for(0, 6000, () => {
          network.refuses = false
        })
      case "freeze":
        network.block("server", true, true)
        // Some clients dial a frozen server, which their kernel lets them.
        if (this.trouble.chance(0.5)) { for (const link of network.links) link.reset() }
        return this.#for(50, 8000, () => network.unblock("server"))
      case "drain":
        host.engine.drain()
        return this.#for(500, 6000, () => host.engine.restart())
      case "noMemory":
        host.injectFaults({ shortage: "jobs" })
        return this.#for(100, 4000, () => host.injectFaults({}))
      case "partition":
        network.block(process, true, true)
        return this.#for(100, 8000, () => network.unblock(process))
      case "reset":
        return Effect.sync(() => {
          const links = [...network.links]
          if (links.length > 0) this.trouble.one(links).reset()
        })
      case "leave":
        if (this.sites.filter(({ isListed }) => isListed).length > 1) site.isListed = false
        return this.#for(300, 8000, () => {
          site.isListed = true
        })
      case "end":
        this.#killActor(actor)
        return this.#for(10, 4000, () => actor.boot())
    }
  }

  #killActor(actor: Actor): void {
    if (!actor.process.isAlive) return
    actor.process.kill()
    for (const { network } of this.sites) network.kill(actor.process, true)
  }

  heal(): void {
    this.world.tell("all is well again")
    for (const site of this.sites) {
      site.isListed = true
      site.host.injectFaults({})
      if (site.host.engine.isDraining) site.host.engine.restart()
      site.network.heal()
    }
    for (const actor of this.actors) if (!actor.process.isAlive) actor.boot()
  }

  // -------------------------------------------------------------------------------------------------------------------
  // The end
  // -------------------------------------------------------------------------------------------------------------------

  get isDrained(): boolean {
    return this.sites.every(({ host: { engine: { store } } }) => [...store.jobs.values()].length === 0) &&
      this.actors.every(({ main, name }) => name.startsWith("worker") || main.pollUnsafe() !== undefined)
  }

  checkEnd(): void {
    const { sites, world } = this
    for (const { at, heard, isGone, key, runs } of this.puts.values()) {
      if (heard === "acknowledged" && !isGone) world.violate(`put ${key} was acknowledged as ${at}, and is lost`)
      if (isGone && runs === 0) world.violate(`put ${key} is gone, and was never handled`)
    }
    for (const { process } of this.actors) {
      if (process.fibers > 0) world.violate(`${process.name} left ${process.fibers} fibers behind`)
      if (process.timers > 0) world.violate(`${process.name} left ${process.timers} timers behind`)
    }
    for (const { host, name } of sites) {
      if (host.engine.connectionCount > 0) world.violate(`${name} still has ${host.engine.connectionCount} connections`)
    }
    if (this.plan.mode !== "backlog" || !world.isSteady) return
    const begun = sites.map(({ begun }) => begun)
    world.tell(`shares: ${begun.join(" ")}`)
    const most = Math.max(...begun)
    // One job more or less in each hand says nothing about shares.
    if (most - Math.min(...begun) > 0.1 * most + 2) world.violate(`the shares are not fair: ${begun.join(" ")}`)
  }
}

/** Runs a seed with a fleet. */
export const simulateFleet = (seed: number): Result => {
  const run = new FleetRun(seed)
  const { plan, world } = run
  for (let n = 1; n <= plan.servers; n++) run.addSite(`server-${n}`)
  world.onRest = () => run.checkAtRest()
  for (let n = 1; n <= plan.workers; n++) {
    run.addActor(`worker-${n}`, plan.mode === "backlog" ? run.fillAndWork : run.workOn)
  }
  for (let n = 1; n <= plan.producers; n++) run.addActor(`producer-${n}`, run.produce)

  let deadline = 0
  const until = (condition: () => boolean) =>
    Effect.gen(function*() {
      while (!condition()) yield* Effect.sleep(100)
    })
  const script = Effect.gen(function*() {
    const trouble = yield* Effect.forkChild(run.nemesis)
    yield* Effect.sleep(plan.seconds * 1000)
    run.isOn = false
    run.heal()
    trouble.interruptUnsafe()
    deadline = world.now + (plan.mode === "backlog" ? 30 * MINUTE : MINUTE)
    yield* until(() => run.isDrained)
    world.tell("all is done")
    deadline = world.now + MINUTE
    for (const { main } of run.actors) main.interruptUnsafe()
    yield* until(() => run.actors.every(({ main }) => main.pollUnsafe() !== undefined))
    yield* Effect.sleep(10_000)
  })
  deadline = plan.seconds * 1000 + MINUTE
  const main = new Process(world, "director").fork(script)
  main.addObserver((exit) => {
    if (Exit.isFailure(exit)) world.violate(`the director failed: ${Cause.pretty(exit.cause)}`)
  })
  world.run(main, () => deadline)
  if (world.violations.length === 0) run.checkEnd()
  const puts = [...run.puts.values()]
  return {
    seed,
    violations: world.violations,
    virtualMillis: world.now,
    hash: world.trace.hash,
    events: world.trace.events,
    puts: puts.length,
    jobs: puts.filter(({ at }) => at !== undefined).length,
    acknowledged: puts.filter(({ heard }) => heard === "acknowledged").length,
    faults: run.faults,
    tail: world.trace.tail
  }
}
