/**
 * The row of `put` in the table, with the job's reference for its value.
 */
import * as Protocol from "../../Protocol.ts"
import type { Command } from "../protocol/command.ts"
import type { JobRef } from "../protocol/jobRef.ts"
import { insertedRef } from "../protocol/replies.ts"
import type { JobId } from "../protocol/scalars.ts"

const { put } = Protocol.commands

type WithRef<C> = C extends Command<infer Args, infer Invalid, JobId, infer E> ? Command<Args, Invalid, JobRef, E>
  : never

/** `put`, whose value is a {@link JobRef}. */
export const putRef = {
  ...put,
  replies: new Map<string, unknown>([
    ...put.replies,
    ["INSERTED", insertedRef]
  ])
} as unknown as WithRef<typeof put>
