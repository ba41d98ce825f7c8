/**
 * An engine that runs: with Effect's clock, with faults in the way of its replies, and for tests that wait for something to
 * happen in it. It does not know how bytes reach it.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { identity } from "effect/Function"
import * as Scope from "effect/Scope"
import * as NodeCrypto from "node:crypto"
import * as Os from "node:os"
import * as Process from "node:process"
import { Engine, type Options as EngineOptions } from "./engine.ts"
import { type Faults, FaultyOutput } from "./faults.ts"
import { MemoryBudget, millisOf } from "./entities.ts"
import type { Output, ServerConnection } from "./serverConnection.ts"
import type { HostFacts } from "./statsText.ts"
import type { OpenStorage } from "./storage.ts"
import { StorageKeeper } from "./storageKeeper.ts"
import { Store } from "./store.ts"

/** A running engine. */
export interface EngineHost<E = unknown> {
  readonly engine: Engine
  /** A new connection, or undefined if it is refused. */
  readonly accept: (output: Output) => ServerConnection | undefined
  readonly injectFaults: (faults: Faults) => void
  readonly awaitReservers: (tube: string, count: number) => Effect.Effect<void>
  /** Runs a task in a later tick, and after so many milliseconds. */
  readonly later: (millis: number, task: () => void) => void
  /** As if the server were killed and started again. */
  readonly restart: Effect.Effect<void, E>
  /** Fails when the server has ended, since it could not keep its jobs. */
  readonly failure: Effect.Effect<never, E>
}

/** The limits of an engine and its connections, all without bounds by default but the size of a job. */
export interface Options extends Pick<EngineOptions, "maxJobSize"> {
  /** How many connections there may be. */
  readonly maxClients?: number | undefined
  /** About how many bytes jobs and tubes may take. */
  readonly maxMemory?: number | undefined
  /** What the statistics say of the machine. Default: what is true. */
  readonly facts?: HostFacts | undefined
}

/** The version whose behaviour and statistics it has. */
const VERSION = "1.12+effect-beanstalkd"

const hostFacts = (): HostFacts => ({
  pid: Process.pid,
  version: VERSION,
  id: NodeCrypto.randomBytes(8).toString("hex"),
  hostname: Os.hostname(),
  os: Os.version(),
  platform: Os.machine(),
  cpuMicros: () => Process.cpuUsage()
})

// Node's timers cannot wait longer. One that fires before anything is due is just set again.
const LONGEST_SLEEP = 2 ** 31 - 1

/** One timer for all that is due. It moves to an earlier moment at once, and to a later one only when it has fired. */
class Alarm {
  readonly #now: () => number
  readonly #after: (millis: number, task: () => void) => Fiber.Fiber<void>
  readonly #onTimer: () => void
  #timer: Fiber.Fiber<void> | undefined
  #firesAt = Infinity

  constructor(
    now: () => number,
    after: (millis: number, task: () => void) => Fiber.Fiber<void>,
    onTimer: () => void
  ) {
    this.#now = now
    this.#after = after
    this.#onTimer = onTimer
  }

  set(at: number): void {
    if (at === Infinity || (this.#timer !== undefined && this.#firesAt <= at)) return
    this.#timer?.interruptUnsafe()
    this.#firesAt = at
    const millis = Math.min(Math.max(1, Math.ceil(at - this.#now())), LONGEST_SLEEP)
    this.#timer = this.#after(millis, () => {
      this.#timer = undefined
      this.#onTimer()
    })
  }
}

/** Tests that wait until enough connections wait for a job of a tube. */
class Waiters {
  readonly #waitingFor: (tube: string) => number
  readonly #checks = new Set<() => void>()

  constructor(waitingFor: (tube: string) => number) {
    this.#waitingFor = waitingFor
  }

  /** To be called after each change. */
  check(): void {
    for (const check of this.#checks) check()
  }

  await(tube: string, count: number): Effect.Effect<void> {
    return Effect.callback((resume) => {
      const check = () => {
        if (this.#waitingFor(tube) < count) return
        this.#checks.delete(check)
        resume(Effect.void)
      }
      this.#checks.add(check)
      check()
      return Effect.sync(() => this.#checks.delete(check))
    })
  }
}

/** Runs an engine until the Scope is closed, with the jobs of a storage, or without one in memory only. */
export const make = Effect.fnUntraced(function*<E = never>(
  { facts = hostFacts(), maxClients = Infinity, maxJobSize, maxMemory = Infinity }: Options,
  open?: OpenStorage<E>
): Effect.fn.Return<EngineHost<E>, E, Scope.Scope> {
  const clock = yield* Clock.Clock
  const fork = Effect.runForkWith(yield* Effect.context<Scope.Scope>())
  const inScope = Fiber.runIn(yield* Scope.fork(yield* Effect.scope))
  let faults: Faults = {}
  let wasFaulty = false

  const now = millisOf(clock)

  const after = (millis: number, task: () => void) =>
    inScope(fork(Effect.andThen(millis > 0 ? Effect.sleep(millis) : Effect.yieldNow, Effect.sync(task))))

  const warn = (line: string) => void inScope(fork(Effect.logWarning(line)))
  const keeper = open === undefined ? undefined : new StorageKeeper({ open, now, after, warn, maxMemory })
  // Its end comes after that of the connections, whose last commands it records.
  if (keeper !== undefined) yield* Effect.addFinalizer(() => keeper.close)
  const engine: Engine = new Engine({
    store: keeper === undefined ? new Store(now, new MemoryBudget(maxMemory)) : (yield* keeper.open).store,
    host: facts,
    maxJobSize,
    ...keeper === undefined ? {} : { binlog: () => keeper.facts },
    onChange: () => {
      alarm.set(engine.nextDeadline)
      waiters.check()
    }
  })
  keeper?.serves(engine)
  const alarm = new Alarm(now, after, () => {
    engine.runTimers()
    // Also when nothing has changed: a timer cannot wait for more than 25 days at a time.
    alarm.set(engine.nextDeadline)
  })
  const waiters = new Waiters((tube) => engine.waitingFor(tube))
  // Jobs that were stored have deadlines.
  alarm.set(engine.nextDeadline)

  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      faults = { refuse: true }
      engine.dropConnections()
    })
  )

  return identity<EngineHost<E>>({
    engine,
    accept: (output) => {
      if (faults.refuse === true || keeper?.isDown === true || engine.connectionCount >= maxClients) return undefined
      return keeper === undefined ? engine.connect(output) : keeper.connect(engine, output)
    },
    injectFaults: (next) => {
      faults = next
      // Once and for good: what is late already must not be overtaken when the server is sound again.
      if (!wasFaulty) engine.interceptOutputs((output) => new FaultyOutput(() => faults, output, after))
      wasFaulty = true
      engine.shortage = next.shortage
    },
    awaitReservers: (tube, count) => waiters.await(tube, count),
    later: after,
    restart: keeper === undefined ? Effect.sync(() => engine.restart()) : Effect.suspend(() => keeper.restart),
    failure: keeper === undefined ? Effect.never : keeper.failure
  })
})
