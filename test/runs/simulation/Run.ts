/**
 * What all parts of a run share.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Errors from "../../../src/Errors.ts"
import type * as Client from "../../../src/Client.ts"
import type { Dice } from "../../conformance/Dice.ts"
import type { Ledger } from "./Ledger.ts"
import type { Network } from "./Network.ts"
import type { Plan } from "./Plan.ts"
import type { Process, World } from "./World.ts"

// Only a broken server answers so, or a server that was sent broken bytes.
const NONSENSE = new Set(["UnexpectedReply", "InternalError", "BadFormat", "UnknownCommand", "ExpectedCrlf"])

const isTagged = (error: unknown, tag: string): boolean =>
  error instanceof Error && "_tag" in error && error._tag === tag

/** A run. */
export class Run {
  readonly world: World
  readonly plan: Plan
  readonly dice: Dice
  readonly network: Network
  readonly ledger: Ledger
  readonly clients = new Map<Process, Client.Service>()
  /** Whether there are still faults and new jobs. */
  isOn = true

  constructor(world: World, plan: Plan, dice: Dice, network: Network, ledger: Ledger) {
    this.world = world
    this.plan = plan
    this.dice = dice
    this.network = network
    this.ledger = ledger
  }

  get commandTimeoutMillis(): number {
    return Duration.toMillis(this.plan.commandTimeout)
  }

  /** The largest body that this process accepts. Those that only look at jobs accept any. */
  maxReplySizeOf({ name }: Process): number {
    return name.includes("worker") || name.startsWith("streamer") ? this.plan.maxReplySize : 64 * 1024 * 1024
  }

  /** Runs an effect, and interrupts it after some steps if the plan says so. */
  perhapsInterrupted<A, E>(
    effect: Effect.Effect<A, E>
  ): Effect.Effect<{ readonly exit: Exit.Exit<A, E>; readonly wasInterrupted: boolean }> {
    if (!this.isOn || !this.dice.chance(this.plan.interruptions)) {
      return Effect.map(Effect.exit(effect), (exit) => ({ exit, wasInterrupted: false }))
    }
    return Effect.gen({ self: this }, function*() {
      let wasInterrupted = false
      const fiber = yield* Effect.forkChild(effect)
      this.world.afterSteps(this.dice.int(0, this.dice.one([5, 20, 100])), () => {
        wasInterrupted = true
        fiber.interruptUnsafe()
      })
      const exit = yield* Fiber.await(fiber)
      return { exit, wasInterrupted }
    })
  }

  /** Records that a command has failed, which it may not in a calm run. */
  failed(what: string, error: unknown, process?: Process): void {
    const said = error instanceof Error ? error.message : String(error)
    this.world.tell(`${what} failed: ${said}`)
    if (process !== undefined && this.ledger.refusals.has(process)) return
    const isRefused = error instanceof Errors.BeanstalkdError && error.reason._tag === "UnknownCommand" &&
      error.command === "reserve-with-timeout" && this.plan.faults > 0
    if (error instanceof Errors.BeanstalkdError && NONSENSE.has(error.reason._tag) && !isRefused) {
      this.world.violate(`${what}: a sound server and a sound client did not understand each other: ${said}`)
    }
    if (this.plan.faults === 0 && !isTagged(error, "NotFound")) {
      this.world.violate(`${what} failed on a calm day: ${said}`)
    }
  }

  /** Records the end of a program that must not end, or not so. */
  unexpected(process: Process, what: string, cause: Cause.Cause<unknown>): Effect.Effect<void> {
    return Effect.sync(() => {
      if (Cause.hasInterruptsOnly(cause) && this.ledger.stopping.has(process)) return
      this.world.violate(`${process.name}: ${what} ended with ${Cause.pretty(cause)}`)
    })
  }
}
