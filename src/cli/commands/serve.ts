/**
 * `serve`: a beanstalkd in this process.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { wrongUsage } from "../failures.ts"
import { BoundedInt } from "../flags.ts"
import { note, result } from "../terminal/output.ts"
import { beanstalk } from "../root.ts"

const listenTo = (signal: NodeJS.Signals, listener: () => void) =>
  Effect.acquireRelease(
    Effect.sync(() => process.on(signal, listener)),
    () => Effect.sync(() => process.removeListener(signal, listener))
  )

export const serve = Command.make(
  "serve",
  {
    unix: Flag.String("unix").pipe(
      Flag.withMetavar("PATH"),
      Flag.withDescription("Listen on a unix socket instead of --host and --port"),
      Flag.optional
    ),
    maxJobSize: BoundedInt(Flag.String("max-job-size"), 0, 1_073_741_824).pipe(
      Flag.withAlias("z"),
      Flag.withMetavar("BYTES"),
      Flag.withDescription("The longest body that is accepted, default 65535"),
      Flag.optional
    ),
    maxClients: BoundedInt(Flag.String("max-clients"), 1, Number.MAX_SAFE_INTEGER).pipe(
      Flag.withMetavar("COUNT"),
      Flag.withDescription("Cut off further clients while so many are connected, default any number"),
      Flag.optional
    ),
    maxMemory: BoundedInt(Flag.String("max-memory"), 0, Number.MAX_SAFE_INTEGER).pipe(
      Flag.withMetavar("BYTES"),
      Flag.withDescription("Answer OUT_OF_MEMORY when jobs and tubes take about so many bytes, default any number"),
      Flag.optional
    )
  },
  Effect.fnUntraced(function*(flags) {
    const { host, port, url } = yield* beanstalk
    if (Option.isSome(url)) {
      return yield* wrongUsage("it listens on --host and --port, or on --unix, not on a --url", "serve")
    }
    if (Option.isSome(flags.unix) && (Option.isSome(host) || Option.isSome(port))) {
      return yield* wrongUsage("either --unix, or --host and --port", "serve")
    }
    // Loaded only here: no other command needs it.
    const Server = yield* Effect.promise(() => import("../../Server.ts"))
    const server = yield* Server.make({
      host: Option.getOrUndefined(host),
      port: Option.getOrUndefined(port),
      path: Option.getOrUndefined(flags.unix),
      maxJobSize: Option.getOrUndefined(flags.maxJobSize),
      maxClients: Option.getOrUndefined(flags.maxClients),
      maxMemory: Option.getOrUndefined(flags.maxMemory)
    })
    const fork = Effect.runForkWith(yield* Effect.context())
    const drain = Effect.andThen(server.drain, note("draining: no job is accepted any more"))
    yield* listenTo("SIGUSR1", () => fork(drain))
    // Interrupted it is by any signal, but this one is how a server is meant to end.
    yield* listenTo("SIGTERM", () => process.exitCode = 0)
    yield* result(`listening on ${server.server}`, { listening: server.server })
    return yield* Effect.never
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Be a beanstalkd, on 127.0.0.1:11300 unless told otherwise: --port 0 takes any port that is free, --host 0.0.0.0 lets " +
      "other machines in. Jobs are kept in memory only. SIGUSR1 makes it drain, SIGTERM ends it with exit code 0, Ctrl-C " +
      "with 130. BEANSTALKD_URL does not count here"
  ),
  Command.withShortDescription("Be a beanstalkd, with its jobs in memory"),
  Command.withExamples([
    { command: "beanstalk serve", description: "On 127.0.0.1:11300" },
    { command: "beanstalk serve --port 0 --json", description: "Any free port; the address is printed as JSON" },
    { command: "beanstalk serve --unix /tmp/beanstalkd.sock -z 1000000", description: "A unix socket, and larger jobs" }
  ])
)
