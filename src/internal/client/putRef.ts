/**
 * The row of `put` in the table, with the job's reference for its value.
 */
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Protocol from "../../Protocol.ts"
import { type JobRef, jobRef } from "../protocol/jobRef.ts"
import type { JobId } from "../protocol/scalars.ts"

type Put = typeof Protocol.commands.put

type WithRef<C> = C extends Protocol.Command<infer Args, infer Invalid, JobId, infer E>
  ? Protocol.Command<Args, Invalid, JobRef, E>
  : never

const inserted = Protocol.commands.put.replies.get("INSERTED")!

const withRef: typeof inserted.decode = (reply, request, server) =>
  Result.map(inserted.decode(reply, request, server), Exit.map((id) => jobRef(server, id))) as never

/** `put`, whose value is a {@link JobRef}. */
export const putRef = {
  ...Protocol.commands.put,
  replies: new Map(Protocol.commands.put.replies).set("INSERTED", { ...inserted, decode: withRef })
} as unknown as WithRef<Put>
