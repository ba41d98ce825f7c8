/**
 * A typed worker in a process of its own, which may be killed at any moment. It notes in a file when a handler begins (`s`)
 * and when it is done (`d`), before the server hears of it. At SIGTERM it stops, and the process ends by itself.
 *
 * Arguments: the port of the server, the file.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { openSync, writeSync } from "node:fs"
import * as Client from "../../../src/Client.ts"
import * as Worker from "../../../src/Worker.ts"
import { DEAD, Work, type WorkItem } from "./Work.ts"

const [port, file] = process.argv.slice(2)

class Failed extends Schema.TaggedError<Failed>()("Failed", { forGood: Schema.Boolean }) {}

const notes = openSync(file!, "a")
const note = (what: "s" | "d", n: number) => Effect.sync(() => writeSync(notes, `${what} ${n}\n`))

const handler: Worker.Handler<WorkItem, Failed, never> = Effect.fnUntraced(function*({ kind, n }, job) {
  yield* note("s", n)
  if (kind === "hopeless") return yield* new Failed({ forGood: true })
  if (kind === "poison") return yield* Effect.die(new Error("poison"))
  if (kind === "flaky" && (yield* Effect.orDie(job.attempt)) === 1) return yield* new Failed({ forGood: false })
  // Some take longer than the worker waits when it is stopped.
  if (kind === "slow") yield* Effect.sleep(n % 3 === 0 ? 1_500 : 50 + n % 200)
  yield* note("d", n)
  if (kind === "own") yield* Effect.ignore(job.delete)
})

const worker = Worker.run(Work, handler, {
  concurrency: 16,
  maxAttempts: 20,
  retrySchedule: Schedule.recurs(20),
  retryIf: ({ forGood }) => !forGood,
  deadLetter: DEAD,
  shutdownTimeout: "500 millis"
}).pipe(Effect.provide([
  Client.layer({ port: Number(port), commandTimeout: "1 second", connectTimeout: "2 seconds" }),
  Logger.layer([])
]))

// Whoever starts it before there is a server waits.
const fiber = Effect.runFork(Effect.retry(worker, Schedule.spaced("50 millis")))
process.once("SIGTERM", () => Effect.runFork(Fiber.interrupt(fiber)))
