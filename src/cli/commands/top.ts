/**
 * `top`: shows all tubes again and again, through restarts of the server.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as TerminalCapabilities from "effect/cli/TerminalCapabilities"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { documented } from "../documented.ts"
import { samples } from "../jobs/sampling.ts"
import { BoundedInt, seconds, switchedOff } from "../flags.ts"
import { note, write } from "../terminal/output.ts"
import { beanstalk } from "../root.ts"
import { Board } from "../terminal/topBoard.ts"
import { COLUMNS } from "../terminal/topModel.ts"
import * as Screen from "../terminal/topScreen.ts"

/** The time between two checks whether a lost server is back. */
const RETRY_INTERVAL = Duration.millis(200)

export const top = Command.make(
  "top",
  {
    sort: Flag.Literals("sort", COLUMNS).pipe(
      Flag.withDescription("The column to sort by, default tube"),
      Flag.withDefault("tube" as const)
    ),
    reverse: switchedOff("reverse", "Reverse the order: smallest numbers first, names from z to a"),
    interval: seconds(Flag.String("interval"), { min: 0.1 }).pipe(
      Flag.withAlias("d"),
      Flag.withMetavar("SECONDS"),
      Flag.withDescription("Time between two samples, default 1"),
      Flag.withDefault(Duration.seconds(1))
    ),
    count: BoundedInt(Flag.String("count"), 1, Number.MAX_SAFE_INTEGER).pipe(
      Flag.withAlias("n"),
      Flag.withMetavar("N"),
      Flag.withDescription("Stop after this many samples"),
      Flag.optional
    )
  },
  Effect.fnUntraced(function*({ interval, ...flags }) {
    const { json } = yield* beanstalk
    const { first, name, next } = yield* samples(interval)
    const { canAnimate, canColor } = yield* TerminalCapabilities.TerminalCapabilities
    const isScreen = canAnimate && !json
    const count = Option.getOrElse(flags.count, () => Infinity)
    const quit = yield* Deferred.make<void>()
    // Without a server the first sample fails, as any other command does. From then on `top` waits for the server.
    const order = { column: flags.sort, isReversed: flags.reverse }
    const board = new Board(name, first, order)

    const repaint = () => {
      if (isScreen) Screen.paint(board.screen(canColor))
    }
    const onKey = (key: string) => {
      if (key === "q") Deferred.doneUnsafe(quit, Effect.void)
      // In raw mode Ctrl-C is a key.
      else if (key === "\u0003") Deferred.doneUnsafe(quit, Effect.interrupt)
      else board.onKey(key)
      repaint()
    }

    const show = Effect.suspend(() => {
      if (json) return write(`${JSON.stringify(board.json())}\n`)
      return isScreen ? Effect.sync(repaint) : write(`${board.text()}\n\n`)
    })

    const lose = Effect.fnUntraced(function*(why: string) {
      if (!board.isLost && !isScreen) yield* note(`RECONNECTING: ${why}`)
      board.lose(why)
      repaint()
      yield* Effect.sleep(RETRY_INTERVAL)
    })

    if (isScreen) yield* Screen.take(onKey, repaint)
    yield* show
    const loop = Effect.gen(function*() {
      for (let shown = 1; shown < count;) {
        if (!board.isLost) yield* Effect.sleep(interval)
        const sample = yield* next
        if (Result.isFailure(sample)) yield* lose(sample.failure)
        else {
          board.update(sample.success)
          yield* show
          shown++
        }
      }
    })
    yield* Effect.raceFirst(loop, Deferred.await(quit))
  }, Effect.scoped)
).pipe(documented({
  description:
    "Show all tubes, with their jobs by state, their waiting and watching connections, and their puts and deletes per " +
    "second. Keys: left and right choose the column to sort by, r reverses, q quits. top goes on when the server is " +
    "restarted. If stdout is no terminal, top prints the table for every sample, with --json as one object per line",
  short: "Show all tubes, live",
  examples: {
    "beanstalk top": "Show all tubes, with a new sample every second",
    "beanstalk top --sort ready --interval 5": "Show the fullest tubes first, every 5 seconds",
    "beanstalk top --json -n 2 | tail -1": "Print one object with rates, for a monitor"
  }
}))
