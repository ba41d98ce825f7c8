/**
 * Why connections end, and what the commands on them are told.
 */
import * as Errors from "../../Errors.ts"

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
