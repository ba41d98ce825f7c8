/**
 * An engine that runs: its clock is Effect's, its connections can be dropped, its replies go through faults, and one can
 * wait for what happens in it. How bytes reach it is decided elsewhere.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { identity } from "effect/Function"
import * as Scope from "effect/Scope"
import * as NodeCrypto from "node:crypto"
import * as Os from "node:os"
import * as Process from "node:process"
import { type Conn, Engine, type Options as EngineOptions, type Output } from "./engine.ts"
import type { HostFacts } from "./statsText.ts"
import { type Faults, FaultyOutput } from "./faults.ts"

/** A running engine. */
export interface EngineHost {
  readonly engine: Engine
  /** A new connection, or undefined if it is refused. */
  readonly accept: (output: Output) => Conn | undefined
  readonly inject: (faults: Faults) => void
  readonly awaitWaiting: (tube: string, count: number) => Effect.Effect<void>
  /** Runs a task in a later turn, and after so many milliseconds. */
  readonly later: (millis: number, task: () => void) => void
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

// What setTimeout can wait for at most; whoever wakes up before something is due just goes to sleep again.
const LONGEST_SLEEP = 2 ** 31 - 1

/** The limits of an engine and its connections; its statistics say of this machine what is true, or `facts`. */
export interface Options extends Pick<EngineOptions, "maxJobSize" | "maxMemory"> {
  readonly maxConnections?: number | undefined
  readonly facts?: HostFacts | undefined
}

/** Runs an engine until the Scope is closed. */
export const make = Effect.fnUntraced(function*(
  { facts = hostFacts(), maxConnections = Infinity, maxJobSize, maxMemory }: Options
): Effect.fn.Return<EngineHost, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const fork = Effect.runForkWith(yield* Effect.context<Scope.Scope>())
  const inScope = Fiber.runIn(yield* Scope.fork(yield* Effect.scope))
  const waits = new Set<() => void>()
  let faults: Faults = {}
  let timer: Fiber.Fiber<void> | undefined
  let ringsAt = Infinity

  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6

  const after = (millis: number, task: () => void) =>
    inScope(fork(Effect.andThen(millis > 0 ? Effect.sleep(millis) : Effect.yieldNow, Effect.sync(task))))

  const ring = () => {
    timer = undefined
    engine.tick()
  }

  // One timer for all that is due some time. It is set anew when it rings, and sooner only for what is due before that.
  const watchClock = () => {
    const at = engine.nextDeadline
    if (at === Infinity || (timer !== undefined && ringsAt <= at)) return
    timer?.interruptUnsafe()
    ringsAt = at
    timer = after(Math.min(Math.max(1, Math.ceil(at - now())), LONGEST_SLEEP), ring)
  }

  const engine: Engine = new Engine({
    now,
    host: facts,
    maxJobSize,
    maxMemory,
    onChange: () => {
      watchClock()
      for (const check of waits) check()
    }
  })

  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      faults = { refuse: true }
      engine.dropConnections()
    })
  )

  const accept = (output: Output): Conn | undefined =>
    faults.refuse === true || engine.connections >= maxConnections
      ? undefined
      : engine.connect(new FaultyOutput(() => faults, output, after))

  const awaitWaiting = (tube: string, count: number): Effect.Effect<void> =>
    Effect.callback((resume) => {
      const check = () => {
        if (engine.waitingFor(tube) < count) return
        waits.delete(check)
        resume(Effect.void)
      }
      waits.add(check)
      check()
      return Effect.sync(() => waits.delete(check))
    })

  return identity<EngineHost>({
    engine,
    accept,
    inject: (next) => {
      faults = next
      engine.shortage = next.shortage
    },
    awaitWaiting,
    later: after
  })
})
