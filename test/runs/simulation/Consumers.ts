/**
 * Programs that take jobs: workers, a stream, and fibers that reserve one job at a time.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import * as Client from "../../../src/Client.ts"
import * as Consumer from "../../../src/Consumer.ts"
import type * as Errors from "../../../src/Errors.ts"
import { reservedOf } from "../../../src/internal/job/decodedJob.ts"
import type { Job } from "../../../src/Job.ts"
import * as Worker from "../../../src/Worker.ts"
import { settle, work } from "./Handler.ts"
import type { Run as InHand, Settling } from "./Ledger.ts"
import type { Program } from "./Machine.ts"
import { type Failure, type Streamed, TOUCH_INTERVAL, type Worked } from "./Plan.ts"
import { typed, type Value } from "./Producer.ts"
import type { Run } from "./Run.ts"

/** A worker. */
export const worker = (run: Run, worked: Worked): Program => (client, process) => {
  run.ledger.limits.set(process, worked.concurrency)
  const rules = run.ledger.rules.get(worked.tube)
  if (rules !== undefined) run.ledger.workers.set(process, rules)
  const options: Worker.Options<typeof Value.Type, Failure, never> = {
    concurrency: worked.concurrency,
    maxConnections: worked.maxConnections,
    maxAttempts: worked.maxAttempts,
    maxCrashes: worked.maxCrashes,
    isolateSuspects: worked.isolateSuspects,
    crashGuard: worked.crashGuard,
    onDefect: worked.onDefect,
    onUndecodable: worked.onUndecodable,
    deadLetter: worked.deadLetter,
    touchInterval: TOUCH_INTERVAL,
    shutdownTimeout: Duration.seconds(worked.shutdownSeconds),
    retrySchedule: worked.retry.schedule,
    retryIf: (error) => error === "again",
    retryAfter: (error) => error.startsWith("later ") ? Duration.seconds(Number(error.slice(6))) : undefined
  }
  const handler: Worker.Handler<typeof Value.Type, Failure, never> = (value, job) => work(run, process, job, value.key)
  return Worker.run(typed(worked.tube, run.plan.isEnclosed), handler, options).pipe(
    Effect.provideService(Client.Beanstalkd, client),
    Effect.catchCause((cause) => run.unexpected(process, "a worker", cause))
  )
}

const settlingOf = ({ dice }: Run): Settling => {
  const command = dice.weighted({ delete: 80, release: 12, bury: 5 })
  switch (command) {
    case "delete":
      return { command }
    case "release":
      return { command, priority: dice.chance(0.5) ? dice.int(0, 3) : undefined, delaySeconds: dice.int(0, 2) }
    case "bury":
      return { command, priority: dice.chance(0.5) ? 7 : undefined }
  }
}

/** Handles and settles a job of a stream or of a reserve, where no worker does it. */
const handle = (run: Run, inHand: InHand, job: Job, mayLeave: boolean): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { dice } = run
    if (run.isOn && dice.chance(0.5)) {
      yield* Effect.sleep(dice.weighted({ a: 8, b: 1 }) === "a" ? dice.int(0, 400) : 3000)
    }
    // The end of its Scope releases the job.
    if (mayLeave && run.isOn && dice.chance(0.1)) return
    const settling = settlingOf(run)
    const isDone = yield* settle(run, inHand, job, settling)
    if (isDone && dice.chance(0.1)) {
      const again = yield* Effect.exit(job.delete)
      if (Exit.isSuccess(again)) run.world.violate(`job ${job.id} was settled twice by one handle`)
    }
  })

const inHand = (run: Run, process: InHand["process"], job: Job, mayLeave: boolean): Effect.Effect<void> =>
  Effect.uninterruptibleMask((restore) => {
    const inHand = run.ledger.begin(process, job, false)
    if (inHand === undefined) return Effect.void
    return Effect.onExit(
      restore(handle(run, inHand, job, mayLeave)),
      () => Effect.sync(() => run.ledger.end(inHand, "interrupted"))
    )
  })

/** A stream, which sometimes ends early and starts again. */
export const stream = (run: Run, streamed: Streamed): Program => (client, process) => {
  run.ledger.limits.set(process, streamed.maxInFlight)
  const { hands, tube, ...options } = streamed
  const once = Effect.suspend(() => {
    const { dice, ledger } = run
    ledger.ending.delete(process)
    let left = run.isOn && (run.plan.faults > 0 || run.plan.calm === "restarts") && dice.chance(0.5)
      ? dice.int(1, 5)
      : Infinity
    const all = Stream.mapEffect(
      Consumer.fromClient(client, tube, options),
      (job) =>
        Effect.ensuring(
          inHand(run, process, job, false),
          Effect.sync(() => {
            if (--left === 0) ledger.ending.add(process)
          })
        ),
      { concurrency: hands }
    )
    return Stream.runDrain(left === Infinity ? all : Stream.take(all, left))
  })
  return Effect.forever(once).pipe(Effect.catchCause((cause) => run.unexpected(process, "a stream", cause)))
}

const wantedOf = ({ dice }: Run, tubes: ReadonlyArray<string>): ReadonlyArray<string> =>
  dice.chance(0.5) ? tubes : [dice.one(tubes)]

const reserveOne = (run: Run, client: Client.Service, process: InHand["process"], tubes: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const { dice } = run
    const timeout = dice.one(["0 seconds", "1 second", "3 seconds"] as const)
    const wanted = wantedOf(run, tubes)
    const effect = Effect.scoped(
      Effect.flatMap(client.reserve(wanted, { timeout }), (job) => {
        const tube = run.ledger.jobs.get(job.id)?.tube
        if (tube !== undefined && !wanted.includes(tube)) {
          run.world.violate(`a job of ${tube} came, not of ${wanted.join()}`)
        }
        return inHand(run, process, job, true)
      })
    )
    const { exit, wasInterrupted } = yield* run.perhapsInterrupted(effect)
    if (Exit.isSuccess(exit) || (wasInterrupted && Cause.hasInterruptsOnly(exit.cause))) return
    const error = Cause.squash(exit.cause) as Errors.TimedOut | Errors.BeanstalkdError | Errors.InvalidArgument
    if (error._tag === "TimedOut") return yield* Effect.sleep(dice.int(1, 500))
    if (error._tag !== "BeanstalkdError") return run.world.violate(`reserve: ${String(error)}`)
    run.failed("reserve", error)
    yield* Effect.sleep(dice.int(1, 200))
  })

const takeOptionsOf = ({ dice }: Run): Consumer.TakeOptions => {
  const timeout = dice.one(["0 seconds", "1 second", "3 seconds"] as const)
  const priority = dice.chance(0.5) ? dice.int(0, 3) : undefined
  if (dice.chance(0.1)) return { timeout, onFailure: "bury", priority }
  return { timeout, priority, delay: dice.chance(0.5) ? Duration.seconds(dice.int(0, 2)) : undefined }
}

/** The command with which the end of a Scope settles the job that was taken in it. */
const settlingBy = (exit: Exit.Exit<unknown, unknown>, options: Consumer.TakeOptions): Settling => {
  if (Exit.isSuccess(exit)) return { command: "delete" }
  if (Cause.hasInterruptsOnly(exit.cause)) return { command: "release" }
  const { delay, onFailure = "release", priority } = options
  return { command: onFailure, priority, delaySeconds: delay === undefined ? 0 : Duration.toSeconds(delay) }
}

/** Works on a taken job, and mostly leaves it to the end of the Scope. */
const workOnTaken = (run: Run, inHand: InHand, job: Job): Effect.Effect<void, Failure> => {
  const { dice } = run
  if (!run.isOn) return Effect.void
  const naps = { short: [0, 400], long: [2000, 9000], hangs: [30_000, 40_000] } as const
  const [from, to] = naps[dice.weighted({ short: 16, long: 3, hangs: 1 })]
  const nap = Effect.sleep(dice.int(from, to))
  switch (dice.weighted({ succeeds: 60, fails: 15, dies: 5, interrupts: 5, settles: 15 })) {
    case "succeeds":
      return nap
    case "fails":
      return Effect.andThen(nap, Effect.fail("again" as const))
    case "dies":
      return Effect.andThen(nap, Effect.die(new Error("a defect")))
    case "interrupts":
      return Effect.andThen(nap, Effect.interrupt)
    case "settles":
      return Effect.asVoid(settle(run, inHand, job, settlingOf(run)))
  }
}

/** Takes a job, and works on it for as long as its lease lasts. */
const takeOne = (run: Run, client: Client.Service, process: InHand["process"], tubes: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const options = takeOptionsOf(run)
    const effect = Effect.scoped(Effect.gen(function*() {
      const { inHand, job } = yield* Effect.uninterruptibleMask((restore) =>
        Effect.gen(function*() {
          const job = yield* restore(Consumer.takeFrom(client, wantedOf(run, tubes), options))
          const inHand = run.ledger.begin(process, job, true)
          // Runs before the job is settled, in the same Scope.
          yield* Effect.addFinalizer((exit) =>
            Effect.sync(() => {
              if (inHand === undefined) return
              if (reservedOf(job)?.isOver === false) run.ledger.settles(inHand, settlingBy(exit, options))
              run.ledger.end(inHand, Exit.isSuccess(exit) ? "succeeded" : "interrupted")
            })
          )
          return { inHand, job }
        })
      )
      if (inHand !== undefined) yield* Effect.raceFirst(workOnTaken(run, inHand, job), job.lost)
    }))
    const { exit, wasInterrupted } = yield* run.perhapsInterrupted(effect)
    if (Exit.isSuccess(exit) || wasInterrupted || !Cause.hasFails(exit.cause)) return
    const error = Cause.squash(exit.cause) as Failure | Errors.TimedOut | Errors.NotFound | Errors.BeanstalkdError
    if (typeof error === "string" || error._tag === "NotFound") return
    if (error._tag === "TimedOut") return yield* Effect.sleep(run.dice.int(1, 500))
    run.failed("take", error)
    yield* Effect.sleep(run.dice.int(1, 200))
  })

/** Fibers that take or reserve one job at a time, over the connections of the pool. */
export const plain = (run: Run, tubes: ReadonlyArray<string>, hands: number): Program => (client, process) =>
  Effect.all(
    Array.from(
      { length: hands },
      () =>
        Effect.forever(
          Effect.suspend(() =>
            run.dice.chance(0.5) ? reserveOne(run, client, process, tubes) : takeOne(run, client, process, tubes)
          )
        )
    ),
    { concurrency: "unbounded", discard: true }
  ).pipe(Effect.catchCause((cause) => run.unexpected(process, "a reader", cause)))
