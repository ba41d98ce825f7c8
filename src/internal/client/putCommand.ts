/**
 * The command by which clients put.
 */
import * as Effect from "effect/Effect"
import type { PutOptions, Service } from "../../Client.ts"
import * as Errors from "../../Errors.ts"
import { type Command, commands } from "../../Protocol.ts"
import { putAll } from "../job/putAll.ts"
import type { JobRef } from "../protocol/jobRef.ts"
import { insertedRef } from "../protocol/replyReader.ts"
import { encode } from "../protocol/requestWriter.ts"
import type { JobId } from "../protocol/scalars.ts"
import * as Validate from "../protocol/validate.ts"

type WithRef<C> = C extends Command<infer Args, infer Invalid, JobId, infer E> ? Command<Args, Invalid, JobRef, E>
  : never

/** The row of `put`, whose value is a {@link JobRef} here. */
export const putCommand = {
  ...commands.put,
  replies: new Map<string, unknown>([...commands.put.replies, ["INSERTED", insertedRef]])
} as unknown as WithRef<typeof commands.put>

// As they are now, checked: one that is not allowed must fail even when there is nothing to put.
const checkedPutOptions = (
  tube: string,
  options: PutOptions | undefined
): PutOptions | Errors.InvalidArgument => {
  const name = Validate.tube("put", "tube", tube)
  if (name instanceof Errors.InvalidArgument) return name
  const read = Validate.snapshot("put", options, Validate.PUT_OPTIONS)
  if (read instanceof Errors.InvalidArgument) return read
  const request = encode(putCommand, ["", read, tube])
  if (request instanceof Errors.InvalidArgument) return request
  const key = Validate.optionalText("put", "key", read.key)
  return key instanceof Errors.InvalidArgument ? key : read
}

/** The `putAll` of a client that puts like this. */
export const makePutAll = (put: Service["put"]): Service["putAll"] => (tube, bodies, options) =>
  Effect.suspend(() => {
    const checked = checkedPutOptions(tube, options)
    return checked instanceof Errors.InvalidArgument
      ? Effect.fail(new Errors.PutAllError({ inserted: [], cause: checked }))
      : putAll((body) => put(tube, body, checked), bodies)
  })
