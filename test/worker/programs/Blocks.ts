/**
 * A worker whose handler blocks the event loop for 3.5 seconds. It writes a line for each handler that begins, and its log.
 *
 * Argument: the port of a server.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Client from "../../../src/Client.ts"
import * as Tube from "../../../src/Tube.ts"
import * as Worker from "../../../src/Worker.ts"

const block = (millis: number) => {
  const until = performance.now() + millis
  while (performance.now() < until);
}

const Work = Tube.make("work", { codec: "text" })

const Blocks = Worker.layer(Work, () =>
  Effect.sync(() => {
    console.log("began")
    block(3500)
  }))

NodeRuntime.runMain(Layer.launch(Blocks.pipe(Layer.provide(Client.layer({ port: Number(process.argv[2]) })))))
