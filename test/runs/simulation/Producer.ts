/**
 * Programs that put jobs, one at a time, many at once and as values, and record the answers.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Client from "../../../src/Client.ts"
import * as Errors from "../../../src/Errors.ts"
import * as Tube from "../../../src/Tube.ts"
import { idOfKey } from "./Enclosed.ts"
import type { Put } from "./Ledger.ts"
import type { Program } from "./Machine.ts"
import { tubesOf } from "./Plan.ts"
import type { Run } from "./Run.ts"

/** The values in the tubes that have workers. */
export const Value = Schema.Struct({ key: Schema.Finite, pad: Schema.String })

/** A tube of these values, which may carry envelopes. */
export const typed = (name: string, isEnclosed: boolean) =>
  Tube.make(name, { schema: Value, envelope: isEnclosed ? { id: ({ key }) => idOfKey(key) } : false })

const PADS = ["", "x", "\r\nput 0 0 1 1\r\nx\r\n", "Grüße, 世界", "RESERVED 1 5\r\n", "y".repeat(300), "z".repeat(5000)]

interface Terms {
  readonly priority: number
  readonly delay: number
  readonly ttr: number
}

// Behind a proxy that cuts silence, most jobs are touched more often than their ttr asks for.
const TTRS = [1, 2, 3, 10]
const TTRS_BEHIND_PROXY = [2, 60, 60]

const termsOf = ({ dice, plan }: Run): Terms => ({
  priority: dice.one([0, 1, 1023, 1024, 2 ** 31, 2 ** 32 - 1]),
  delay: dice.chance(0.75) ? 0 : dice.int(1, 4),
  ttr: dice.one(plan.silenceSeconds === undefined ? TTRS : TTRS_BEHIND_PROXY)
})

const optionsOf = ({ delay, priority, ttr }: Terms): Client.PutOptions => ({
  priority,
  delay: Duration.seconds(delay),
  ttr: Duration.seconds(ttr)
})

const begin = ({ dice, ledger }: Run, tube: string, terms: Terms, isReadable: boolean): { put: Put; pad: string } => {
  const key = ledger.nextKey()
  const pad = dice.one(PADS)
  const body = isReadable ? JSON.stringify({ key, pad }) : `!{"key":${key}`
  const { delay: delaySeconds, priority, ttr: ttrSeconds } = terms
  return { put: ledger.began(key, { tube, body, priority, delaySeconds, ttrSeconds }), pad }
}

/** Records what the caller of a put may conclude from its end. */
const conclude = (run: Run, put: Put, exit: Exit.Exit<number, unknown>, wasInterrupted: boolean): void => {
  const { ledger, world } = run
  if (Exit.isSuccess(exit)) return ledger.acknowledged(put, exit.value)
  const error = Cause.squash(exit.cause)
  if (Cause.hasInterruptsOnly(exit.cause) && wasInterrupted) return ledger.unknown(put, "interrupted")
  if (!(error instanceof Error && "_tag" in error)) return world.violate(`put ${put.key}: ${String(error)}`)
  run.failed(`put ${put.key}`, error)
  if (error instanceof Errors.JobBuried) return ledger.acknowledged(put, error.id)
  if (error instanceof Errors.BeanstalkdError) {
    return error.sent ? ledger.unknown(put, error.message) : ledger.notDone(put, error.message)
  }
  const isRefused = error instanceof Errors.Draining || error instanceof Errors.OutOfMemory ||
    error instanceof Errors.JobTooBig
  if (isRefused) return ledger.notDone(put, error.message)
  world.violate(`put ${put.key}: ${error.message}`)
}

const putOne = (run: Run, client: Client.Service) =>
  Effect.gen(function*() {
    const { dice, plan } = run
    const tube = dice.one(tubesOf(plan))
    const isWorked = plan.worked.some((worked) => worked.tube === tube)
    const terms = termsOf(run)
    const isReadable = !isWorked || dice.chance(0.97)
    const { pad, put } = begin(run, tube, terms, isReadable)
    const effect = isReadable && dice.chance(0.5)
      ? Effect.provideService(
        typed(tube, isWorked && plan.isEnclosed).put({ key: put.key, pad }, optionsOf(terms)),
        Client.Beanstalkd,
        client
      )
      : client.put(tube, dice.chance(0.5) ? put.body : Buffer.from(put.body), optionsOf(terms))
    const { exit, wasInterrupted } = yield* run.perhapsInterrupted(effect)
    conclude(run, put, Exit.map(exit, ({ id }) => id), wasInterrupted)
  })

const putMany = (run: Run, client: Client.Service) =>
  Effect.gen(function*() {
    const { dice, ledger, plan, world } = run
    const tube = dice.one(tubesOf(plan))
    const terms = termsOf(run)
    const puts = Array.from({ length: dice.int(2, 8) }, () => begin(run, tube, terms, true).put)
    const bodies = puts.map(({ body }) => body)
    const effect = client.putAll(tube, dice.chance(0.5) ? bodies : Stream.fromIterable(bodies), optionsOf(terms))
    const { exit, wasInterrupted } = yield* run.perhapsInterrupted(effect)
    if (Exit.isSuccess(exit)) {
      for (const [at, { id }] of exit.value.entries()) ledger.acknowledged(puts[at]!, id)
      return
    }
    const error = Cause.squash(exit.cause)
    if (Cause.hasInterruptsOnly(exit.cause) && wasInterrupted) {
      for (const put of puts) ledger.unknown(put, "interrupted")
    } else if (error instanceof Errors.PutAllError) {
      run.failed("putAll", error.cause)
      const inserted = new Set<number>(error.inserted.map(({ id }) => id))
      for (const put of puts) {
        if (put.job !== undefined && inserted.delete(put.job.id)) ledger.acknowledged(put, put.job.id)
        else ledger.unknown(put, error.message)
      }
      if (inserted.size > 0) world.violate(`putAll names ids that are not its own: ${[...inserted].join()}`)
    } else {
      world.violate(`putAll: ${String(error)}`)
    }
  })

/** Puts jobs with pauses in between. */
export const producer = (run: Run): Program => (client) => {
  const { dice, plan } = run
  const pause = Effect.suspend(() =>
    dice.chance(0.5) ? Effect.void : Effect.sleep(dice.int(0, (2000 * plan.seconds) / 25))
  )
  const hand = Effect.gen(function*() {
    for (let left = plan.putsPerProducer; left > 0 && run.isOn; left--) {
      yield* dice.chance(0.95) ? putOne(run, client) : putMany(run, client)
      yield* pause
    }
  })
  return Effect.all(Array.from({ length: dice.int(1, 3) }, () => hand), { concurrency: "unbounded", discard: true })
}
