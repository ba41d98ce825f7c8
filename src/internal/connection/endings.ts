/**
 * Why connections end, and what the commands on them are told.
 */
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Errors from "../../Errors.ts"
import type { ProtocolViolation } from "../protocol/replyReader.ts"
import { JobIdFromString } from "../protocol/scalars.ts"

/** The reason of a pipeline's death when its Scope is closed. */
export const CLOSED_BY_SCOPE = new Errors.ConnectionClosed({ detail: "its Scope was closed" })

/** The client ends the connection, since nothing else ends a wait. A `timeout` of the caller does no harm to a server. */
export const RESERVE_INTERRUPTED = new Errors.ConnectionClosed({
  detail: "a reserve that waited on it was interrupted"
})

/** The reason for commands that did not cause the death, or came after it. */
export const afterwards = (reason: Errors.BeanstalkdErrorReason): Errors.ConnectionClosed =>
  reason._tag === "ConnectionClosed"
    ? reason
    : new Errors.ConnectionClosed({ detail: reason.message, cause: reason })

/** The reason of the death that a reply brings which breaks the protocol. */
export const unexpected = ({ detail, reply, tornJob }: ProtocolViolation): Errors.UnexpectedReply => {
  const id = Schema.decodeUnknownOption(JobIdFromString)(tornJob)
  return new Errors.UnexpectedReply({ reply, detail, ...(Option.isSome(id) ? { tornJob: id.value } : {}) })
}

/** What a command is told that gets no answer. */
export const failure = (
  command: string,
  server: string,
  sent: boolean,
  reason: Errors.BeanstalkdErrorReason
): Exit.Failure<never, Errors.BeanstalkdError> =>
  Exit.fail(new Errors.BeanstalkdError({ command, server, sent, reason })) as Exit.Failure<
    never,
    Errors.BeanstalkdError
  >
