/**
 * `serve`: runs a beanstalkd in this process.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { documented } from "../documented.ts"
import { wrongUsage } from "../failures.ts"
import { BoundedInt } from "../flags.ts"
import { endsWellOnSigterm, listenTo } from "../signals.ts"
import { note, result } from "../terminal/output.ts"
import { beanstalk } from "../root.ts"

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
      Flag.withDescription("Longest body that is accepted, default 65535"),
      Flag.optional
    ),
    maxClients: BoundedInt(Flag.String("max-clients"), 1, Number.MAX_SAFE_INTEGER).pipe(
      Flag.withMetavar("COUNT"),
      Flag.withDescription("Close new connections beyond this number; by default there is no limit"),
      Flag.optional
    ),
    maxMemory: BoundedInt(Flag.String("max-memory"), 0, Number.MAX_SAFE_INTEGER).pipe(
      Flag.withMetavar("BYTES"),
      Flag.withDescription(
        "Answer OUT_OF_MEMORY when jobs and tubes take about this much; by default there is no limit"
      ),
      Flag.optional
    )
  },
  Effect.fnUntraced(function*(flags) {
    const { host, port, tlsCa, tlsCert, tlsKey, url } = yield* beanstalk
    if ([tlsCa, tlsCert, tlsKey].some(Option.isSome)) {
      return yield* wrongUsage("it has no TLS: put a TLS proxy in front of it", "serve")
    }
    if (Option.isSome(url)) {
      return yield* wrongUsage("it listens on --host and --port, or on --unix, not on a --url", "serve")
    }
    if (Option.isSome(flags.unix) && (Option.isSome(host) || Option.isSome(port))) {
      return yield* wrongUsage("either --unix, or --host and --port", "serve")
    }
    // No other command needs the server, so the others start faster without it.
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
    yield* endsWellOnSigterm
    yield* result(`listening on ${server.server}`, { listening: server.server })
    return yield* Effect.never
  }, Effect.scoped)
).pipe(documented({
  description:
    "Run a beanstalkd, by default on 127.0.0.1:11300. --port 0 takes any free port, --host 0.0.0.0 lets other machines " +
    "connect. Jobs are kept in memory only. SIGUSR1 starts draining, SIGTERM ends the server with exit code 0, Ctrl-C with " +
    "130. BEANSTALKD_URL has no effect here",
  short: "Run a beanstalkd that keeps its jobs in memory",
  examples: {
    "beanstalk serve": "Listen on 127.0.0.1:11300",
    "beanstalk serve --port 0 --json": "Listen on any free port, and print the address as JSON",
    "beanstalk serve --unix /tmp/beanstalkd.sock -z 1000000": "Listen on a unix socket, and accept larger jobs"
  }
}))
