/**
 * A worker service as an application would write it. The body of a job says what its handler does. The service appends a
 * line to a file for each handler that begins, ends or is interrupted.
 *
 * Arguments: the port of a server, the file, options of the worker as JSON.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import { openSync, writeSync } from "node:fs"
import * as Client from "../../../src/Client.ts"
import * as Tube from "../../../src/Tube.ts"
import * as Worker from "../../../src/Worker.ts"

const [port, file, options] = process.argv.slice(2) as [string, string, string]

const log = openSync(file, "a")
const tell = (what: string, id: number) => writeSync(log, `${what} ${id}\n`)

const isTerminating = Latch.makeUnsafe(false)
process.once("SIGTERM", () => Latch.openUnsafe(isTerminating))

const behaviours: Record<string, Effect.Effect<void>> = {
  short: Effect.flatMap(Random.nextIntBetween(0, 30), Effect.sleep),
  "until SIGTERM": Effect.andThen(isTerminating.await, Effect.sleep("20 millis")),
  never: Effect.never,
  long: Effect.sleep("2 seconds"),
  "kills later": Effect.andThen(Effect.sleep("400 millis"), Effect.sync(() => process.kill(process.pid, "SIGKILL"))),
  kills: Effect.sync(() => process.kill(process.pid, "SIGKILL")).pipe(Effect.andThen(Effect.never))
}

const Work = Tube.make("work", { codec: "text" })

const Service = Worker.layer(Work, (value, { id }) =>
  Effect.sync(() => tell("began", id)).pipe(
    Effect.andThen(behaviours[value] ?? Effect.void),
    Effect.andThen(Effect.sync(() => tell("ended", id))),
    Effect.onInterrupt(() => Effect.sync(() => tell("interrupted", id)))
  ), JSON.parse(options) as Worker.Options<string, never, never>)

NodeRuntime.runMain(Layer.launch(Service.pipe(Layer.provide(Client.layer({ port: Number(port) })))))
