/**
 * The handle of a job that is larger than `maxReplySize`: its body was skipped, but its lease is the connection's, and has to
 * be ended like any other.
 */
import type * as Errors from "../../Errors.ts"
import { RawJob } from "../../Protocol.ts"
import { type JobOrigin, ReservedJob } from "./reservedJob.ts"

const NO_BODY = new Uint8Array(0)

/** The handle of such a job, which needs no body to be settled. */
export const handleOf = ({ id, server }: Errors.ReplyTooLarge, origin: JobOrigin): ReservedJob =>
  new ReservedJob(new RawJob(id, NO_BODY, server), origin)
