/**
 * Hostile callers: public functions with any arguments. What is accepted reaches the server as the command that it is,
 * what is refused sends nothing and says what is wrong.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as References from "effect/References"
import { Errors } from "effect-beanstalkd"
import assert from "node:assert/strict"
import { Dice, seedOf } from "../../conformance/Dice.ts"
import { describeCause } from "../../../src/internal/protocol/describe.ts"
import { all, type Caller } from "./Callers.ts"
import { type Heard, Recorder } from "./Recorder.ts"
// Loaded beforehand: a server on a socket loads it when it is made, which takes more turns than a call may.
import "../../../src/internal/server/listen.ts"

export interface Tally {
  readonly calls: number
  readonly accepted: number
  readonly refused: number
}

const microtask = Effect.promise(() => Promise.resolve())
const turn = Effect.callback<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

// Nobody of them waits for time to pass. Deno takes some hundred turns to listen.
const TURNS = 3000

const ended = Effect.fnUntraced(function*(fiber: Fiber.Fiber<unknown, unknown>) {
  for (let turns = 0; turns < TURNS; turns++) {
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) return exit
    yield* turns < 20 ? microtask : turn
  }
  throw new Error("it hangs")
})

const refusalIn = (error: unknown): unknown => {
  if (error instanceof Errors.PutAllError) return refusalIn(error.cause)
  if (error instanceof Errors.BeanstalkdError) return error.reason
  return (error as { readonly _tag?: unknown })._tag === "ListenError"
    ? (error as { readonly cause: unknown }).cause
    : error
}

const saysWhatIsWrong = (error: unknown): void => {
  const refusal = refusalIn(error)
  assert.ok(
    refusal instanceof Errors.InvalidArgument || refusal instanceof Errors.InvalidOptions,
    `not an InvalidArgument, but ${describeCause(refusal)}`
  )
  assert.ok(refusal.argument !== "" && refusal.rule !== "" && refusal.operation !== "", "it does not say what is wrong")
  assert.ok(refusal.message.includes(refusal.argument) && refusal.message.includes(refusal.rule))
}

// Bodies that are no JSON, which the recorder has; and what was put before the one that was refused.
const mayHaveSent = (error: unknown, heard: ReadonlyArray<Heard>): boolean =>
  error instanceof Errors.DecodeError ||
  (error instanceof Errors.PutAllError && error.inserted.length === heard.filter(({ name }) => name === "put").length)

const NOTHING = /^$/

const check = (
  { refused = NOTHING, sends }: Caller,
  exit: Exit.Exit<unknown, unknown>,
  { injected }: Recorder,
  heard: ReadonlyArray<Heard>
) => {
  assert.deepEqual(injected, [])
  const names = heard.map(({ name }) => name).join(" ")
  if (Exit.isSuccess(exit)) {
    assert.match(names, sends)
    return
  }
  const [reason, ...others] = exit.cause.reasons
  assert.ok(
    reason !== undefined && others.length === 0 && Cause.isFailReason(reason),
    new Error("it crashes", { cause: Cause.squash(exit.cause) })
  )
  const { error } = reason
  if (error instanceof Errors.DecodeError) return
  saysWhatIsWrong(error)
  if (!mayHaveSent(error, heard)) assert.match(names, refused, "it is refused, and has sent something")
}

/** So many calls, from this seed. */
export const run = Effect.fnUntraced(
  function*(seed: number, count: number) {
    const recorder = new Recorder()
    const callers = Object.entries(yield* all(recorder))
    yield* turn
    recorder.take()
    let accepted = 0
    for (let n = 0; n < count; n++) {
      const own = seedOf(seed, n)
      const dice = new Dice(own)
      const [name, caller] = dice.one(callers)
      const fiber = yield* Effect.forkChild(Effect.scoped(Effect.suspend(() => caller.call(dice))), {
        startImmediately: true
      })
      const checked = Effect.map(ended(fiber), (exit) => {
        check(caller, exit, recorder, recorder.take())
        if (Exit.isSuccess(exit)) accepted++
      })
      yield* Effect.catchCause(
        checked,
        (cause) => Effect.die(new Error(`call ${n} of seed ${seed}: ${name}`, { cause: Cause.squash(cause) }))
      )
    }
    const tally: Tally = { calls: count, accepted, refused: count - accepted }
    return tally
  },
  Effect.scoped,
  Effect.provideService(References.MinimumLogLevel, "None")
)
