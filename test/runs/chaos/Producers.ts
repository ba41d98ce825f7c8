/**
 * Those who put in a chaos run, and those who only ask: each fiber goes on until it is told to stop.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Client from "../../../src/Client.ts"
import { BeanstalkdError } from "../../../src/Errors.ts"
import { JobId } from "../../../src/internal/protocol/scalars.ts"
import { Dice, seedOf } from "../../conformance/Dice.ts"
import type { Accounts, Outcome } from "./Accounts.ts"
import { bodyOf, type Kind, tubeOf, WORK } from "./Work.ts"

const KINDS: Record<Kind, number> = {
  plain: 80,
  slow: 4,
  flaky: 4,
  own: 4,
  hopeless: 2,
  poison: 1,
  garbled: 1,
  parked: 2,
  later: 2
}

export interface Setting {
  readonly beanstalkd: Client.Service
  readonly accounts: Accounts
  readonly seed: number
  readonly isOver: () => boolean
  readonly complain: (what: string) => void
}

const INNOCENT: ReadonlySet<string> = new Set(["NotFound", "TimedOut", "Draining", "AcquireTimeout"])

// The network and the server may fail, but nobody says what makes no sense.
const isHarmless = (error: unknown): boolean => {
  if (!(error instanceof BeanstalkdError)) return INNOCENT.has((error as { readonly _tag?: string })._tag ?? "")
  const { reason } = error
  if (reason._tag === "UnexpectedReply") return reason.tornJob !== undefined
  return !["BadFormat", "UnknownCommand", "ExpectedCrlf", "InternalError"].includes(reason._tag)
}

/** Why a command failed, or undefined if it was interrupted. Defects are complained of, and errors that make no sense. */
const failureOf = (exit: Exit.Failure<unknown, unknown>, complain: Setting["complain"]): unknown => {
  if (Cause.hasInterruptsOnly(exit.cause)) return undefined
  const error = Cause.squash(exit.cause)
  if (!isHarmless(error)) complain(`unexpected: ${String(error)}`)
  return error
}

// A command that may be interrupted at any moment, also before it has left.
const run = <A, E>(dice: Dice, effect: Effect.Effect<A, E>): Effect.Effect<Exit.Exit<A, E>> =>
  Effect.gen(function*() {
    if (!dice.chance(0.05)) return yield* Effect.exit(effect)
    const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
    yield* dice.chance(0.3) ? Effect.yieldNow : Effect.sleep(dice.int(0, 20))
    yield* Fiber.interrupt(fiber)
    return yield* Fiber.await(fiber)
  })

const outcomeOf = (error: unknown): Outcome => {
  if (error instanceof BeanstalkdError) return error.sent ? "unknown" : "unsent"
  return (error as { readonly _tag?: string } | undefined)?._tag === "Draining" ? "refused" : "unknown"
}

/** Puts jobs of all kinds. */
export const producer = Effect.fnUntraced(
  function*({ accounts, beanstalkd, complain, isOver, seed }: Setting, name: number) {
    const dice = new Dice(seedOf(seed, name))
    while (!isOver()) {
      yield* Effect.sleep(dice.int(1, 20))
      const kind = dice.weighted(KINDS)
      const n = accounts.open(kind)
      const options: Client.PutOptions = { ttr: "4 seconds", delay: kind === "later" ? "1 hour" : 0 }
      const exit = yield* run(dice, beanstalkd.put(tubeOf(kind), bodyOf(n, kind), options))
      if (Exit.isSuccess(exit)) accounts.close(n, "acknowledged", exit.value.id)
      else accounts.close(n, outcomeOf(failureOf(exit, complain)))
    }
  }
)

/** Puts many at once, of which only the ids count. */
export const bulkProducer = Effect.fnUntraced(
  function*({ accounts, beanstalkd, complain, isOver, seed }: Setting, name: number) {
    const dice = new Dice(seedOf(seed, name))
    while (!isOver()) {
      yield* Effect.sleep(dice.int(100, 1000))
      const numbers = Array.from({ length: dice.int(1, 50) }, () => accounts.open("plain"))
      const exit = yield* run(dice, beanstalkd.putAll(WORK, numbers.map((n) => bodyOf(n, "plain"))))
      if (Exit.isSuccess(exit)) exit.value.forEach(({ id }, i) => accounts.close(numbers[i]!, "acknowledged", id))
      else {
        const failure = failureOf(exit, () => {}) as { readonly cause?: unknown } | undefined
        if (failure !== undefined && !isHarmless(failure.cause)) complain(`unexpected: ${String(failure.cause)}`)
      }
    }
  }
)

/** Asks, kicks, pauses, and reserves what nobody works on, which it gives back in one way or another. */
export const admin = Effect.fnUntraced(function*({ beanstalkd, complain, isOver, seed }: Setting, name: number) {
  const dice = new Dice(seedOf(seed, name))
  const commands: ReadonlyArray<() => Effect.Effect<unknown, unknown>> = [
    () => beanstalkd.stats,
    () => beanstalkd.statsTube(WORK),
    () => beanstalkd.listTubes,
    () => beanstalkd.kick(WORK, dice.int(1, 5)),
    () => beanstalkd.peekReady(WORK),
    () => beanstalkd.peekBuried(WORK),
    () => beanstalkd.peekDelayed("later"),
    () => beanstalkd.statsJob(JobId.make(dice.int(1, 5_000))),
    () => dice.chance(0.1) ? beanstalkd.pauseTube(WORK, "1 second") : beanstalkd.pauseTube(WORK, 0),
    () =>
      Effect.scoped(Effect.gen(function*() {
        const job = yield* beanstalkd.reserve("parked", { timeout: dice.int(0, 2_000) })
        yield* Effect.sleep(dice.int(0, 50))
        if (dice.chance(0.5)) yield* job.touch
        if (dice.chance(0.5)) yield* job.release()
      }))
  ]
  while (!isOver()) {
    yield* Effect.sleep(dice.int(1, 50))
    const exit = yield* run(dice, dice.one(commands)())
    if (Exit.isFailure(exit)) failureOf(exit, complain)
  }
})
