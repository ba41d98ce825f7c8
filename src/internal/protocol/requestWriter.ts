/**
 * From the arguments of a command to the bytes that a server reads. The command's encoder checks the arguments and
 * makes a request of them, before anything is queued; `layOut` lays out requests that leave together, when they leave.
 * The counterpart of `replyParser` and `replies`.
 */
import type * as Duration from "effect/Duration"
import { Buffer } from "node:buffer"
import * as Errors from "../../Errors.ts"
import type { BuryOptions, PutOptions, ReleaseOptions } from "../../Protocol.ts"
import type { Command, Request } from "./command.ts"
import type { JobId } from "./scalars.ts"
import * as Validate from "./validate.ts"

// ---------------------------------------------------------------------------------------------------------------------
// Arguments to requests
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The request for a command, or the argument that is wrong. It does not throw, although reading an option can: options
 * may be a Proxy or have getters.
 */
export const encode = <Args extends ReadonlyArray<unknown>, Invalid, A, E>(
  command: Command<Args, Invalid, A, E>,
  args: Args
): Request | Invalid => {
  try {
    return command.encode(...args)
  } catch {
    const rule = "objects whose properties can be read"
    return new Errors.InvalidArgument({
      operation: command.name,
      argument: "options",
      value: undefined,
      rule
    }) as Invalid
  }
}

const isInvalid = (value: unknown): value is Errors.InvalidArgument => value instanceof Errors.InvalidArgument

/** `put`, into `tube`, by default the tube of the options. */
export const encodePut = (
  body: Uint8Array | string,
  options?: PutOptions,
  tube: string | undefined = options?.tube
): Request | Errors.InvalidArgument => {
  const wrong = Validate.options("put", options) ?? Validate.optionalTube("put", tube)
  if (isInvalid(wrong)) return wrong
  const priority = Validate.priority("put", options?.priority)
  if (isInvalid(priority)) return priority
  const delay = Validate.optionalDelay("put", options?.delay)
  if (isInvalid(delay)) return delay
  const ttr = Validate.ttr("put", options?.ttr)
  if (isInvalid(ttr)) return ttr
  const bytes = Validate.body("put", body)
  if (isInvalid(bytes)) return bytes
  return { head: `put ${priority} ${delay} ${ttr}`, body: bytes, size: Validate.sizeOf(bytes), usesTube: true, tube }
}

/** `release`. */
export const encodeRelease = (id: JobId, options?: ReleaseOptions): Request | Errors.InvalidArgument => {
  const checked = Validate.jobId("release", id)
  if (isInvalid(checked)) return checked
  const wrong = Validate.options("release", options)
  if (wrong !== undefined) return wrong
  const priority = Validate.priority("release", options?.priority)
  if (isInvalid(priority)) return priority
  const delay = Validate.optionalDelay("release", options?.delay)
  return isInvalid(delay) ? delay : { head: `release ${id} ${priority} ${delay}`, id }
}

/** `bury`. */
export const encodeBury = (id: JobId, options?: BuryOptions): Request | Errors.InvalidArgument => {
  const checked = Validate.jobId("bury", id)
  if (isInvalid(checked)) return checked
  const wrong = Validate.options("bury", options)
  if (wrong !== undefined) return wrong
  const priority = Validate.priority("bury", options?.priority)
  return isInvalid(priority) ? priority : { head: `bury ${id} ${priority}`, id }
}

// beanstalkd 1.12 cuts a longer timeout to 31 bits, and 1.13 refuses it.
const MAX_TIMEOUT_SECONDS = 2_147_483_647

/** `reserve-with-timeout`. */
export const encodeReserveWithTimeout = (timeout: Duration.Input): Request | Errors.InvalidArgument => {
  const checked = Validate.timeout("reserve-with-timeout", timeout)
  if (isInvalid(checked)) return checked
  const seconds = Math.min(checked, MAX_TIMEOUT_SECONDS)
  return { head: `reserve-with-timeout ${seconds}`, seconds }
}

/** `kick`, in `tube`, by default the tube in use. */
export const encodeKick = (bound?: number, tube?: string): Request | Errors.InvalidArgument => {
  const most = Validate.uint32("kick", "bound", bound === undefined ? 1 : bound)
  if (isInvalid(most)) return most
  const checked = Validate.optionalTube("kick", tube)
  return isInvalid(checked) ? checked : { head: `kick ${most}`, usesTube: true, tube: checked }
}

/** `pause-tube`. */
export const encodePauseTube = (tube: string, delay: Duration.Input): Request | Errors.InvalidArgument => {
  const checked = Validate.tube("pause-tube", "tube", tube)
  if (isInvalid(checked)) return checked
  const seconds = Validate.delay("pause-tube", delay)
  return isInvalid(seconds) ? seconds : { head: `pause-tube ${tube} ${seconds}`, tube }
}

/** A command without arguments. */
export const plain = (name: string) => (): Request => ({ head: name })

/** A command on one job. */
export const withId = (name: string) => (id: JobId): Request | Errors.InvalidArgument => {
  const checked = Validate.jobId(name, id)
  return isInvalid(checked) ? checked : { head: `${name} ${id}`, id }
}

/** A command on one tube. */
export const withTube = (name: string) => (tube: string): Request | Errors.InvalidArgument => {
  const checked = Validate.tube(name, "tube", tube)
  return isInvalid(checked) ? checked : { head: `${name} ${tube}`, tube }
}

/** A command on the tube in use, or on another one that is used first. */
export const inUsedTube = (name: string) => (tube?: string): Request | Errors.InvalidArgument => {
  const checked = Validate.optionalTube(name, tube)
  return isInvalid(checked) ? checked : { head: name, usesTube: true, tube: checked }
}

// ---------------------------------------------------------------------------------------------------------------------
// Requests to bytes
// ---------------------------------------------------------------------------------------------------------------------

const CRLF = "\r\n"

/**
 * The bytes of these requests, one after the other. A body must still have the size that it had when it was passed.
 *
 * Text, lines and bodies alike, is gathered and encoded in one go.
 */
export const layOut = (requests: ReadonlyArray<Request>): Uint8Array => {
  const parts: Array<string | Uint8Array> = []
  let text = ""
  let size = 0
  for (const { body, head, size: bodySize } of requests) {
    if (body === undefined) {
      text += head + CRLF
      size += head.length + 2
      continue
    }
    const length = bodySize ?? Validate.sizeOf(body)
    const line = `${head} ${length}${CRLF}`
    size += line.length + length + 2
    if (typeof body === "string") {
      text += line + body + CRLF
    } else {
      parts.push(text + line, body)
      text = CRLF
    }
  }
  parts.push(text)
  const bytes = Buffer.allocUnsafe(size)
  let at = 0
  for (const part of parts) {
    if (typeof part === "string") {
      at += writeText(bytes, part, at)
    } else {
      const length = Validate.sizeOf(part)
      // `set` throws for an array whose memory was given away, even if there is nothing to copy.
      if (length > 0) bytes.set(part, at)
      at += length
    }
  }
  return bytes
}

// For shorter text a loop is faster than a call of the native function.
const SHORT = 64

const writeText = (bytes: Buffer, text: string, at: number): number => {
  if (text.length > SHORT) return bytes.write(text, at)
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code > 127) return bytes.write(text, at)
    bytes[at + i] = code
  }
  return text.length
}
