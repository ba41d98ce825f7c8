/**
 * Errors of the command line, the one line that each error becomes, and the exit code that goes with it.
 */
import * as Cause from "effect/Cause"
import * as CliError from "effect/cli/CliError"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as Errors from "../Errors.ts"
import { describeMissing } from "./missingPackage.ts"

/** The error of a command itself, as opposed to an error of the server or of the library. `message` is the printed line. */
export class Failed extends Schema.TaggedError<Failed>("effect-beanstalkd/cli/Failed")("Failed", {
  message: Schema.String
}) {}

/** A job that was named with its server, to a command that works on another one. */
export class WrongServer extends Schema.TaggedError<WrongServer>("effect-beanstalkd/cli/WrongServer")("WrongServer", {
  server: Schema.String,
  named: Schema.String,
  id: Schema.Int
}) {
  override get message(): string {
    return `WRONG_SERVER: ${this.named}/${this.id} is a job of ${this.named}, and this command works on ${this.server}: ` +
      "name its server with --host, --port or --url, or give the id alone"
  }
}

/** Nothing was there: no such job or tube, or none came in time. */
export class NothingThere extends Schema.TaggedError<NothingThere>("effect-beanstalkd/cli/NothingThere")(
  "NothingThere",
  { message: Schema.String }
) {}

/** Some of several servers did not answer, and the others did what was asked. */
export class Unanswered extends Schema.TaggedError<Unanswered>("effect-beanstalkd/cli/Unanswered")("Unanswered", {
  servers: Schema.Array(Schema.String),
  count: Schema.Int
}) {
  override get message(): string {
    return `NO_ANSWER: ${this.servers.length} of ${this.count} servers did not answer: ${this.servers.join(", ")}`
  }
}

/** The reader of stdout has gone, as in `| head`. This is an error only if it left work undone. */
export class OutputClosed extends Schema.TaggedError<OutputClosed>("effect-beanstalkd/cli/OutputClosed")(
  "OutputClosed",
  { isUndone: Schema.Boolean }
) {}

/** Wrong usage that the parser cannot see, such as flags that exclude each other. */
export const wrongUsage = (message: string, command?: string): CliError.ShowHelp =>
  new CliError.ShowHelp({
    commandPath: command === undefined ? ["beanstalk"] : ["beanstalk", command],
    errors: [new CliError.ValidationError({ message })]
  })

const CHECK = "check --host, --port, --url and BEANSTALKD_URL"

const openFailed = (server: string, cause: unknown): string => {
  const { code, message } = cause as { readonly code?: unknown; readonly message?: unknown }
  switch (code) {
    case "ECONNREFUSED":
      return `UNREACHABLE: nobody listens on ${server} (connection refused); is beanstalkd running there? Else ${CHECK}`
    case "ENOENT":
      return `UNREACHABLE: there is no socket ${server}; is beanstalkd running? Else ${CHECK}`
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return `UNREACHABLE: the host of ${server} is not known (${code}); ${CHECK}`
    default:
      return `UNREACHABLE: cannot connect to ${server}: ${String(message ?? cause)}; ${CHECK}`
  }
}

/** After a lost connection these commands may have been carried out, and the user must know. */
const CHANGING = new Set(["put", "delete", "release", "bury", "kick", "kick-job", "pause-tube"])

const serverFailed = ({ command, reason, sent, server }: Errors.BeanstalkdError): string => {
  switch (reason._tag) {
    case "OpenError":
      return openFailed(server, reason.cause)
    case "InvalidOptions":
      return `beanstalk: ${withoutCommand({ command: reason.operation, message: reason.message })}`
    case "OpenTimeout":
      return `UNREACHABLE: ${server} did not answer within ${reason.timeoutMillis / 1000} s; ${CHECK}`
    case "CommandTimeout":
      return `NO_ANSWER: ${server} did not answer ${command} within ${reason.timeoutMillis / 1000} s; ` +
        `is it a beanstalkd, and alive? Else ${CHECK}`
    case "UnexpectedReply":
      return `UNEXPECTED_REPLY: ${server} answered ${command} with ${JSON.stringify(reason.reply.slice(0, 60))}; ` +
        `is it a beanstalkd? Else ${CHECK}`
    case "ConnectionClosed":
    case "ReadError":
    case "WriteError":
      return `CONNECTION_LOST: ${server}: ${reason.message}` +
        (sent && CHANGING.has(command) ? ` (${command} was on its way and may have been carried out)` : "")
    case "NoServer":
      return `UNREACHABLE: ${withoutCommand({ command, message: reason.message })}`
    case "UnknownCommand":
      return `UNKNOWN_COMMAND: ${server} has no ${command}` + since(command)
    default:
      return `${reason.message} (${command} on ${server})`
  }
}

/** The versions of beanstalkd that brought commands. All others are older than any server in use. */
const SINCE: Readonly<Record<string, string>> = { "reserve-job": "1.12", "kick-job": "1.8", "pause-tube": "1.4.3" }

const since = (command: string): string =>
  SINCE[command] === undefined ? "" : `, which beanstalkd has since ${SINCE[command]}`

// The library's messages begin with the command that failed, which the user has just typed.
const withoutCommand = ({ command, message }: { readonly command: string; readonly message: string }) =>
  message.startsWith(`${command}: `) ? message.slice(command.length + 2) : message

const OWN = [Failed, WrongServer, NothingThere, Unanswered]

/** The line for an error. */
export const describe = (error: unknown): string => {
  if (OWN.some((own) => error instanceof own)) return (error as Error).message
  if (error instanceof Errors.NotFound) return `NOT_FOUND: ${withoutCommand(error)}`
  if (error instanceof Errors.TimedOut) return `TIMED_OUT: ${error.message}`
  if (error instanceof Errors.DeadlineSoon) return `DEADLINE_SOON: ${error.message}`
  if (error instanceof Errors.Draining) return `DRAINING: ${error.message}`
  if (error instanceof Errors.JobTooBig) return `JOB_TOO_BIG: ${error.message}`
  if (error instanceof Errors.JobBuried) return `BURIED: ${withoutCommand(error)}`
  if (error instanceof Errors.OutOfMemory) return `OUT_OF_MEMORY: ${error.message}`
  if (error instanceof Errors.InvalidArgument) return `beanstalk: ${error.message}`
  if (error instanceof Errors.BeanstalkdError) return serverFailed(error)
  return `beanstalk: ${describeMissing(error) ?? (error instanceof Error ? error.message : String(error))}`
}

const isInvalid = (error: unknown): boolean =>
  error instanceof Errors.InvalidArgument || error instanceof WrongServer ||
  (error instanceof Errors.BeanstalkdError && error.reason._tag === "InvalidOptions")

const isEmpty = (error: unknown): boolean =>
  error instanceof Errors.NotFound || error instanceof Errors.TimedOut || error instanceof NothingThere

/** Whether the server cannot be reached, or does not answer any more. */
export const isUnreachable = (error: unknown): boolean => {
  if (error instanceof Unanswered) return true
  if (!(error instanceof Errors.BeanstalkdError)) return false
  switch (error.reason._tag) {
    case "OpenError":
    case "OpenTimeout":
    case "CommandTimeout":
    case "ConnectionClosed":
    case "ReadError":
    case "WriteError":
    case "NoServer":
      return true
    default:
      return false
  }
}

/** 0 done, 1 an error, 2 wrong usage, 3 nothing is there, 4 the server is not there. Interrupted is 130. */
const codeOf = (error: unknown): number => isInvalid(error) ? 2 : isEmpty(error) ? 3 : isUnreachable(error) ? 4 : 1

/** The exit code of the process, and its last line on stderr, if there is one. */
export const ending = (exit: Exit.Exit<unknown, unknown>): { readonly code: number; readonly line?: string } => {
  if (Exit.isSuccess(exit)) return { code: 0 }
  if (Cause.hasInterruptsOnly(exit.cause)) return { code: 130 }
  const error = Cause.squash(exit.cause)
  // `program` has printed the usage already.
  if (CliError.isCliError(error)) return { code: 2 }
  if (error instanceof OutputClosed) return { code: error.isUndone ? 1 : 0 }
  const line = describe(error).replace(/\s*\n\s*/g, " ")
  return { code: codeOf(error), line }
}
