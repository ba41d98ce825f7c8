/**
 * A program on a machine that has no `@effect/platform-node`: a worker handles a job of a server in memory. Then it tries to
 * start a server on a socket.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { registerHooks } from "node:module"
import { importBuilt } from "./Built.ts"

registerHooks({
  resolve: (specifier, context, next) => {
    if (!specifier.startsWith("@effect/platform-node")) return next(specifier, context)
    const message = `Cannot find package '${specifier}' imported from ${context.parentURL}`
    throw Object.assign(new Error(message), { code: "ERR_MODULE_NOT_FOUND" })
  }
})

const { Server, Tube, Worker } = await importBuilt()

const Emails = Tube.make("emails", { schema: Schema.Struct({ to: Schema.String }) })

const program = Effect.gen(function*() {
  const handled = yield* Deferred.make<string>()
  yield* Effect.forkScoped(Worker.run(Emails, ({ to }) => Deferred.succeed(handled, to)))
  yield* Emails.put({ to: "ada" })
  return {
    handled: yield* Deferred.await(handled),
    refused: (yield* Effect.flip(Server.make({ port: 0 }))).message
  }
}).pipe(Effect.scoped, Effect.provide(Server.layerMemory()))

console.log(JSON.stringify(await Effect.runPromise(program)))
