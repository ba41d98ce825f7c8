/**
 * `serve`: runs a beanstalkd in this process.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { documented } from "../documented.ts"
import { wrongUsage } from "../failures.ts"
import { BoundedInt, switchedOff } from "../flags.ts"
import { endsWellOnSigterm, listenTo } from "../signals.ts"
import { logToStderr } from "../terminal/logger.ts"
import { note, result } from "../terminal/output.ts"
import { beanstalk } from "../root.ts"

// The flags of beanstalkd that its binlog has, and two that it had once.
const binlogFlags = {
  binlog: Flag.String("binlog").pipe(
    Flag.withAlias("b"),
    Flag.withMetavar("DIR"),
    Flag.withDescription("Keep the jobs in this directory, which must exist; by default they are kept in memory only"),
    Flag.optional
  ),
  fsync: BoundedInt(Flag.String("fsync"), 0, 2 ** 31 - 1).pipe(
    Flag.withAlias("f"),
    Flag.withMetavar("MS"),
    Flag.withDescription(
      "Sync the binlog at most so many milliseconds after a reply, default 50; 0 syncs before each reply"
    ),
    Flag.optional
  ),
  noFsync: switchedOff("no-fsync", "Never sync the binlog").pipe(Flag.withAlias("F")),
  fileSize: BoundedInt(Flag.String("file-size"), 0, 2 ** 31 - 1).pipe(
    Flag.withAlias("s"),
    Flag.withMetavar("BYTES"),
    Flag.withDescription("Size of a binlog file, default 10485760"),
    Flag.optional
  ),
  salvage: switchedOff(
    "salvage",
    "Start although binlog files are damaged: keep what can be read, and move these files to DIR/damaged"
  ),
  compact: switchedOff("compact", "Ignored, as by beanstalkd: the binlog is always compacted").pipe(
    Flag.withAlias("c")
  ),
  noCompact: switchedOff("no-compact", "Ignored, as by beanstalkd").pipe(Flag.withAlias("n"))
}

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
    ),
    ...binlogFlags
  },
  Effect.fnUntraced(
    function*(flags) {
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
      if (Option.isSome(flags.fsync) && flags.noFsync) {
        return yield* wrongUsage("either --fsync or --no-fsync", "serve")
      }
      for (const isGiven of [flags.compact, flags.noCompact]) {
        if (isGiven) yield* note("flag was removed. binlog is always compacted.")
      }
      if (Option.isNone(flags.binlog) && (Option.isSome(flags.fsync) || flags.noFsync || flags.salvage)) {
        yield* note("jobs are kept in memory only: without -b DIR the flags of the binlog have no effect")
      }
      // No other command needs the server, so the others start faster without it.
      const Server = yield* Effect.promise(() => import("../../Server.ts"))
      const server = yield* Server.make({
        host: Option.getOrUndefined(host),
        port: Option.getOrUndefined(port),
        path: Option.getOrUndefined(flags.unix),
        maxJobSize: Option.getOrUndefined(flags.maxJobSize),
        maxClients: Option.getOrUndefined(flags.maxClients),
        maxMemory: Option.getOrUndefined(flags.maxMemory),
        directory: Option.getOrUndefined(flags.binlog),
        sync: flags.noFsync ? "never" : Option.getOrUndefined(flags.fsync),
        fileSize: Option.getOrUndefined(flags.fileSize),
        salvage: flags.salvage
      })
      const fork = Effect.runForkWith(yield* Effect.context())
      const drain = Effect.andThen(server.drain, note("draining: no job is accepted any more"))
      yield* listenTo("SIGUSR1", () => fork(drain))
      yield* endsWellOnSigterm
      yield* result(`listening on ${server.server}`, { listening: server.server })
      return yield* server.failure
    },
    Effect.scoped,
    logToStderr(() => true)
  )
).pipe(documented({
  description:
    "Run a beanstalkd, by default on 127.0.0.1:11300. --port 0 takes any free port, --host 0.0.0.0 lets other machines " +
    "connect. Jobs are kept in memory, or with -b in a directory, in the format of beanstalkd. SIGUSR1 starts draining, SIGTERM ends the server with exit code 0, Ctrl-C with " +
    "130. BEANSTALKD_URL has no effect here",
  short: "Run a beanstalkd",
  examples: {
    "beanstalk serve": "Listen on 127.0.0.1:11300",
    "beanstalk serve --port 0 --json": "Listen on any free port, and print the address as JSON",
    "beanstalk serve -b /var/lib/jobs -f 0": "Keep the jobs on the disk, and answer when they are there",
    "beanstalk serve --unix /tmp/beanstalkd.sock -z 1000000": "Listen on a unix socket, and accept larger jobs"
  }
}))
