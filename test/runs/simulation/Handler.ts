/**
 * The handlers of jobs: most succeed, some fail, die, hang, settle or postpone their job themselves, or are interrupted. The key of
 * a job decides its fate, so every attempt knows how the others went.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { reservedOf } from "../../../src/internal/job/decodedJob.ts"
import type { Job } from "../../../src/Job.ts"
import * as Worker from "../../../src/Worker.ts"
import { Dice, seedOf } from "../../conformance/Dice.ts"
import type { Run as InHand, Settling } from "./Ledger.ts"
import type { Failure } from "./Plan.ts"
import type { Run } from "./Run.ts"
import type { Process } from "./World.ts"

const FATES = {
  quick: 40,
  short: 25,
  medium: 8,
  long: 3,
  fails: 10,
  givesUp: 3,
  dies: 3,
  deletes: 3,
  releases: 3,
  buries: 2,
  touches: 4,
  asks: 5,
  interrupts: 2,
  insists: 3,
  hangs: 2,
  snoozes: 4,
  discards: 2,
  later: 4
} as const

// Only a long handler tells whether its connection falls silent.
const SILENT_FATES = { ...FATES, long: 40 } as const

type Fate = keyof typeof FATES

/** Settles a job, and records the outcome. */
export const settle = (run: Run, inHand: InHand, job: Job, settling: Settling): Effect.Effect<boolean> => {
  const priority = settling.priority
  const delay = settling.delaySeconds === undefined ? undefined : Duration.seconds(settling.delaySeconds)
  const command = (): Effect.Effect<void, Error> => {
    switch (settling.command) {
      case "delete":
        return job.delete
      case "release":
        return job.release({ priority, delay })
      case "bury":
        return job.bury({ priority })
    }
  }
  return Effect.suspend(() => {
    run.ledger.settles(inHand, settling)
    return command()
  }).pipe(
    Effect.uninterruptible,
    Effect.as(true),
    Effect.catch((error) =>
      Effect.sync(() => {
        run.failed(`${settling.command} ${inHand.job.id}`, error, inHand.process)
        if ("_tag" in error && error._tag === "NotFound") run.ledger.heardNotFound(inHand, settling.command)
        else if (reservedOf(job)?.isOver === false) run.ledger.settlesNot(inHand)
        return false
      })
    )
  )
}

const touch = (run: Run, inHand: InHand, job: Job): Effect.Effect<void> =>
  job.touch.pipe(
    Effect.catch((error) =>
      Effect.sync(() => {
        run.failed(`touch ${inHand.job.id}`, error, inHand.process)
        if (error._tag === "NotFound") run.ledger.heardNotFound(inHand, "touch")
      })
    )
  )

// The shared connection answers, perhaps with the state of a later lease.
const ask = (run: Run, inHand: InHand, job: Job): Effect.Effect<void> =>
  Effect.all([job.stats, job.attempt, job.tube]).pipe(
    Effect.map(([stats, attempt, tube]) => {
      const { lease } = inHand
      const isWrong = stats.id !== inHand.job.id || tube !== inHand.job.tube ||
        (lease !== undefined && attempt < lease.attempt)
      if (isWrong) run.world.violate(`job ${inHand.job.id} was told to be ${stats.id} in ${tube}, attempt ${attempt}`)
    }),
    Effect.catch((error) => Effect.sync(() => run.failed(`stats of ${inHand.job.id}`, error, inHand.process)))
  )

type Ending = Failure | Worker.Snooze | Worker.Discard

const doIt = (run: Run, inHand: InHand, job: Job, fate: Fate, dice: Dice): Effect.Effect<void, Ending> => {
  const nap = (from: number, to: number) => run.isOn ? Effect.sleep(dice.int(from, to)) : Effect.sleep(dice.int(0, 50))
  // A fate that leads to another attempt is met once or twice, so that the job can end.
  const isEarly = inHand.job.put.runs <= 2
  switch (fate) {
    case "quick":
      return Effect.void
    case "short":
      return nap(1, 300)
    case "medium":
      return nap(500, 3000)
    case "long":
      return nap(5000, 20_000)
    case "fails":
      return Effect.andThen(
        nap(0, 200),
        inHand.job.put.runs <= dice.int(1, 5) ? Effect.fail("again" as const) : Effect.void
      )
    case "givesUp":
      return Effect.andThen(nap(0, 200), Effect.fail("never" as const))
    case "dies":
      return Effect.andThen(nap(0, 200), Effect.die(new Error("a defect")))
    case "deletes":
      return Effect.andThen(settle(run, inHand, job, { command: "delete" }), nap(0, 500))
    case "releases": {
      if (!isEarly) return Effect.void
      const priority = dice.chance(0.5) ? dice.int(0, 3) : undefined
      return Effect.andThen(
        settle(run, inHand, job, { command: "release", priority, delaySeconds: dice.int(0, 2) }),
        nap(0, 500)
      )
    }
    case "buries":
      return Effect.asVoid(settle(run, inHand, job, { command: "bury", priority: dice.chance(0.5) ? 7 : undefined }))
    case "touches":
      return Effect.andThen(nap(0, 800), touch(run, inHand, job)).pipe(Effect.andThen(nap(0, 800)))
    case "asks":
      return Effect.andThen(ask(run, inHand, job), nap(0, 300))
    case "interrupts":
      inHand.isSelfInterrupting = isEarly
      return isEarly ? Effect.andThen(nap(0, 200), Effect.interrupt) : Effect.void
    case "insists":
      return Effect.uninterruptible(nap(500, 4000))
    case "hangs":
      return isEarly ? nap(30_000, 40_000) : Effect.void
    case "snoozes":
      return Effect.andThen(nap(0, 200), isEarly ? Worker.snooze(Duration.millis(dice.int(0, 2500))) : Effect.void)
    case "discards":
      return Effect.andThen(nap(0, 200), Worker.discard("nobody needs it"))
    case "later":
      return Effect.andThen(nap(0, 200), isEarly ? Effect.fail(`later ${dice.int(0, 3)}` as const) : Effect.void)
  }
}

/** How a handler ended, and for how many seconds its job is postponed. */
const endOf = (exit: Exit.Exit<void, Ending>): readonly [InHand["outcome"], number?] => {
  if (Exit.isSuccess(exit)) return ["succeeded"]
  if (Cause.hasInterruptsOnly(exit.cause)) return ["interrupted"]
  if (Cause.hasDies(exit.cause)) return ["died"]
  const error = Cause.squash(exit.cause) as Ending
  if (error instanceof Worker.Snooze) return ["snoozed", Duration.toSeconds(error.delay)]
  if (error instanceof Worker.Discard) return ["discarded"]
  if (error.startsWith("later ")) return ["snoozed", Math.max(1, Number(error.slice(6)))]
  return [error === "again" ? "failed" : "gaveUp"]
}

/** Handles a job as its key says. */
export const work = (run: Run, process: Process, job: Job, key: number): Effect.Effect<void, Ending> =>
  Effect.uninterruptibleMask((restore) => {
    const dice = new Dice(seedOf(run.world.seed, 1_000_000 + key))
    const fate = dice.weighted(run.plan.silenceSeconds === undefined ? FATES : SILENT_FATES)
    const inHand = run.ledger.begin(process, job, fate !== "insists")
    if (inHand === undefined) return Effect.void
    return Effect.onExit(
      restore(doIt(run, inHand, job, fate, dice)),
      (exit) => Effect.sync(() => run.ledger.end(inHand, ...endOf(exit)))
    )
  })
