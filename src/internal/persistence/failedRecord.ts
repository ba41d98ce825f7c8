/**
 * What is kept of an element that failed for good: a job in the tube of the queue's failed elements, as one line of JSON.
 */
import { Buffer, isUtf8 } from "node:buffer"
import type { ReservedJob } from "../job/reservedJob.ts"
import type { Element } from "./element.ts"

/** What failed: an element, or a body that is none. */
export type What = Element | { readonly id: string; readonly body: string } | {
  readonly id: string
  readonly bodyBase64: string
}

/** A failed element. `job` names the buried job that still has it, where the record has no room for it. */
export type FailedRecord = Partial<What> & {
  readonly id: string
  readonly queue: string
  readonly attempts: number
  readonly lastFailure: string
  readonly failedAt: number
  readonly job?: string | undefined
}

/** The parts of a record that a cleanup needs. */
export interface Kept {
  readonly id: string
  readonly queue: string
  readonly token: string | undefined
  readonly job: string | undefined
}

/** A job that is no element of ours: its body, as text if it is one. */
export const foreign = ({ body, id, text }: ReservedJob): What =>
  isUtf8(body)
    ? { id: `job ${id}`, body: text }
    : { id: `job ${id}`, bodyBase64: Buffer.from(body).toString("base64") }

// Long enough for the message and the first lines of its stack.
const SHORTENED = 1000

/** The record with the beginning of its reason. */
export const shortened = (record: FailedRecord): FailedRecord => ({
  ...record,
  lastFailure: `${record.lastFailure.slice(0, SHORTENED)}...`
})

/** The record without what failed, which stays in the job. */
export const withoutElement = (
  { attempts, failedAt, id, lastFailure, queue, ...what }: FailedRecord,
  { ref }: ReservedJob
): FailedRecord => {
  const token = "token" in what && what.token !== undefined ? { token: what.token } : {}
  // An id can be as long as an element. The job has it whole.
  const name = id.length <= SHORTENED ? id : `${id.slice(0, SHORTENED)}...`
  return { id: name, ...token, queue, attempts, lastFailure, failedAt, job: ref.toString() }
}

const isText = (value: unknown): value is string => typeof value === "string"

/** Reads what a cleanup needs, or nothing if it is no record. */
export const read = (text: string): Kept | undefined => {
  try {
    const { attempts, failedAt, id, job, lastFailure, queue, token } = JSON.parse(text)
    if (!isText(id) || !isText(queue) || !isText(lastFailure)) return undefined
    if (typeof attempts !== "number" || typeof failedAt !== "number") return undefined
    return { id, queue, token: isText(token) ? token : undefined, job: isText(job) ? job : undefined }
  } catch {
    return undefined
  }
}
