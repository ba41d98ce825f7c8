/**
 * The protocol as data: one table of the 25 commands. Each row has the command's name on the wire, the encoder that
 * checks its arguments, and for every reply that the server may give the Schema of its fields and the value or typed
 * error that it means. Requests, the decoding of replies and the error types of the whole client come from this table.
 * It is pure: values in, bytes or plain data out.
 *
 * The commands are described in beanstalkd's `doc/protocol.txt`, under the names that they have here.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Errors from "./Errors.ts"
import { type Command, command, type Request } from "./internal/protocol/command.ts"
import {
  count,
  deadlineSoon,
  document,
  done,
  fails,
  job,
  notFound,
  RawJob,
  succeedsWith,
  usedTube
} from "./internal/protocol/replyReader.ts"
import {
  encodeBury,
  encodeKick,
  encodePauseTube,
  encodePut,
  encodeRelease,
  encodeReserveWithTimeout,
  inUsedTube,
  plain,
  withId,
  withTube
} from "./internal/protocol/requestWriter.ts"
import {
  DEFAULT_PORT,
  DEFAULT_PRIORITY,
  DEFAULT_TTR_SECONDS,
  JobId,
  JobIdFromString,
  MAX_UINT32,
  Priority,
  TubeName
} from "./internal/protocol/scalars.ts"
import { JobStatsFromText, ServerStatsFromText, TubeListFromText, TubeStatsFromText } from "./Stats.ts"

export {
  type Command,
  DEFAULT_PORT,
  DEFAULT_PRIORITY,
  DEFAULT_TTR_SECONDS,
  JobId,
  MAX_UINT32,
  Priority,
  RawJob,
  TubeName
}

/**
 * The 25 commands of the protocol, under the names that they have on a connection. `run` of a connection takes a row of
 * this table, and the arguments that the row's encoder takes.
 *
 * ```ts
 * import { Connection, Protocol } from "effect-beanstalkd"
 * import { Effect } from "effect"
 *
 * const kicked = Effect.flatMap(
 *   Connection.Connection,
 *   (connection) => connection.run(Protocol.commands.kick, 10, "emails")
 * )
 * ```
 *
 * @since 0.1.0
 * @category constants
 */
export const commands = {
  put: command("put", encodePut, {
    INSERTED: succeedsWith(JobIdFromString),
    BURIED: fails([JobIdFromString], (_, server, [id]) => new Errors.JobBuried({ command: "put", server, id })),
    JOB_TOO_BIG: fails([], ({ size }, server) => new Errors.JobTooBig({ server, size: size ?? 0 })),
    DRAINING: fails([], (_, server) => new Errors.Draining({ server })),
    OUT_OF_MEMORY: fails([], (_, server) => new Errors.OutOfMemory({ server }))
  }),
  use: command("use", withTube("use"), { USING: usedTube }),
  reserve: command("reserve", (): Request => ({ head: "reserve", seconds: Infinity }), {
    RESERVED: job("reserve"),
    DEADLINE_SOON: deadlineSoon
  }),
  reserveWithTimeout: command("reserve-with-timeout", encodeReserveWithTimeout, {
    RESERVED: job("reserve-with-timeout"),
    DEADLINE_SOON: deadlineSoon,
    TIMED_OUT: fails([], ({ seconds }, server) => new Errors.TimedOut({ server, timeoutSeconds: seconds ?? 0 }))
  }),
  reserveJob: command("reserve-job", withId("reserve-job"), {
    RESERVED: job("reserve-job"),
    NOT_FOUND: notFound("reserve-job")
  }),
  delete: command("delete", withId("delete"), { DELETED: done, NOT_FOUND: notFound("delete") }),
  release: command("release", encodeRelease, {
    RELEASED: done,
    BURIED: fails(
      [],
      (request, server) => new Errors.JobBuried({ command: "release", server, id: request.id as JobId })
    ),
    NOT_FOUND: notFound("release")
  }),
  bury: command("bury", encodeBury, { BURIED: done, NOT_FOUND: notFound("bury") }),
  touch: command("touch", withId("touch"), { TOUCHED: done, NOT_FOUND: notFound("touch") }),
  watch: command("watch", withTube("watch"), { WATCHING: count }),
  ignore: command("ignore", withTube("ignore"), {
    WATCHING: count,
    NOT_IGNORED: fails([], ({ tube }, server) => new Errors.NotIgnored({ server, tube: tube ?? "" }))
  }),
  peek: command("peek", withId("peek"), {
    FOUND: job("peek"),
    NOT_FOUND: notFound("peek")
  }),
  peekReady: command("peek-ready", inUsedTube("peek-ready"), {
    FOUND: job("peek-ready"),
    NOT_FOUND: notFound("peek-ready")
  }),
  peekDelayed: command("peek-delayed", inUsedTube("peek-delayed"), {
    FOUND: job("peek-delayed"),
    NOT_FOUND: notFound("peek-delayed")
  }),
  peekBuried: command("peek-buried", inUsedTube("peek-buried"), {
    FOUND: job("peek-buried"),
    NOT_FOUND: notFound("peek-buried")
  }),
  kick: command("kick", encodeKick, { KICKED: count }),
  kickJob: command("kick-job", withId("kick-job"), { KICKED: done, NOT_FOUND: notFound("kick-job") }),
  statsJob: command("stats-job", withId("stats-job"), {
    OK: document(JobStatsFromText),
    NOT_FOUND: notFound("stats-job")
  }),
  statsTube: command("stats-tube", withTube("stats-tube"), {
    OK: document(TubeStatsFromText),
    NOT_FOUND: notFound("stats-tube")
  }),
  stats: command("stats", plain("stats"), { OK: document(ServerStatsFromText) }),
  listTubes: command("list-tubes", plain("list-tubes"), { OK: document(TubeListFromText) }),
  listTubeUsed: command("list-tube-used", (): Request => ({ head: "list-tube-used", usesTube: true }), {
    USING: usedTube
  }),
  listTubesWatched: command("list-tubes-watched", plain("list-tubes-watched"), { OK: document(TubeListFromText) }),
  pauseTube: command("pause-tube", encodePauseTube, { PAUSED: done, NOT_FOUND: notFound("pause-tube") }),
  quit: command("quit", plain("quit"), {})
}

type Commands = typeof commands

/**
 * The names of the commands in the table and on a connection.
 *
 * @since 0.1.0
 * @category models
 */
export type CommandName = keyof Commands

/**
 * The arguments of a command.
 *
 * @since 0.1.0
 * @category models
 */
export type CommandArguments<K extends CommandName> = Parameters<Commands[K]["encode"]>

/**
 * The value that a command gives when it succeeds.
 *
 * @since 0.1.0
 * @category models
 */
export type Success<K extends CommandName> = K extends "quit" ? void
  : Commands[K] extends Command<never, unknown, infer A, unknown> ? A
  : never

/**
 * Exactly the errors that a command can fail with: the outcomes that its replies name, `InvalidArgument` if it takes
 * arguments, and `BeanstalkdError`.
 *
 * @since 0.1.0
 * @category models
 */
export type Failure<K extends CommandName> =
  | (Commands[K] extends Command<never, infer Invalid, unknown, infer E> ? Invalid | E : never)
  | Errors.BeanstalkdError

/**
 * Options of `put`. Durations are rounded up to whole seconds; plain numbers are milliseconds.
 *
 * @since 0.1.0
 * @category models
 */
export interface PutOptions {
  /** The tube to put into. Default: the tube that the connection uses. */
  readonly tube?: string | undefined
  /** How urgent the job is: an integer from 0, the most urgent, to 2^32 - 1. Default: 2^31. */
  readonly priority?: number | undefined
  /** How long the job stays delayed before it is ready, up to 2^32 - 1 seconds. Default: 0. */
  readonly delay?: Duration.Input | undefined
  /** Time to run: how long a worker has the job to itself, from 1 to 2^32 - 1 seconds. Default: 2 minutes. */
  readonly ttr?: Duration.Input | undefined
}

/**
 * Options of `release`. The delay is rounded up to whole seconds; plain numbers are milliseconds.
 *
 * @since 0.1.0
 * @category models
 */
export interface ReleaseOptions {
  /** The job's new priority: an integer from 0, the most urgent, to 2^32 - 1. Default: 2^31. */
  readonly priority?: number | undefined
  /** How long the job stays delayed before it is ready again, up to 2^32 - 1 seconds. Default: 0. */
  readonly delay?: Duration.Input | undefined
}

/**
 * Options of `bury`.
 *
 * @since 0.1.0
 * @category models
 */
export interface BuryOptions {
  /** The job's new priority: an integer from 0, the most urgent, to 2^32 - 1. Default: 2^31. */
  readonly priority?: number | undefined
}
