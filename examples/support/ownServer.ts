/**
 * The URL of a beanstalkd to try things on: the one that BEANSTALKD_URL names, or else one that is started here on a
 * free port of the loopback interface, and ends with the Scope.
 */
import { NodeServices } from "@effect/platform-node"
import { Config, Effect, Option, Schedule, Schema } from "effect"
import { Connection } from "effect-beanstalkd"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { once } from "node:events"
import { type AddressInfo, createServer } from "node:net"

/** There is no server to be had. */
export class NoServer extends Schema.TaggedError<NoServer>()("NoServer", { message: Schema.String }) {}

const freePort = Effect.promise(async () => {
  const listener = createServer().listen(0, "127.0.0.1")
  await once(listener, "listening")
  const { port } = listener.address() as AddressInfo
  listener.close()
  await once(listener, "close")
  return port
})

/** The URL of a server that is started here. */
export const startServer = Effect.gen(function*() {
  const port = yield* freePort
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  yield* spawner.spawn(ChildProcess.make("beanstalkd", ["-l", "127.0.0.1", "-p", `${port}`])).pipe(
    Effect.mapError(() =>
      new NoServer({
        message: "There is no beanstalkd on this machine: apt-get install beanstalkd (Debian, Ubuntu), " +
          "brew install beanstalkd (macOS), or set BEANSTALKD_URL=beanstalk://host:port"
      })
    )
  )
  // It is up as soon as it lets us in.
  yield* Effect.scoped(Connection.make({ port })).pipe(
    Effect.retry({ times: 200, schedule: Schedule.spaced("20 millis") }),
    Effect.mapError((error) => new NoServer({ message: `beanstalkd did not start: ${error.message}` }))
  )
  return `beanstalk://127.0.0.1:${port}`
}).pipe(Effect.provide(NodeServices.layer))

/** The URL of the server that BEANSTALKD_URL names, or of one that is started here. */
export const ownServer = Effect.flatMap(
  Config.option(Config.String("BEANSTALKD_URL")),
  Option.match({ onNone: () => startServer, onSome: Effect.succeed })
)
