/**
 * From the arguments of a command to the bytes that a server reads. The command's encoder checks the arguments and
 * makes a request of them, before anything is queued; `layOut` lays out requests that leave together, when they leave.
 * The counterpart of `replyReader`.
 */
import type * as Duration from "effect/Duration"
import { Buffer } from "node:buffer"
import { types } from "node:util"
import * as Errors from "../../Errors.ts"
import type { BuryOptions, PutOptions, ReleaseOptions } from "../../Protocol.ts"
import type { Command, Request } from "./command.ts"
import type { JobId } from "./scalars.ts"
import * as Validate from "./validate.ts"

// ---------------------------------------------------------------------------------------------------------------------
// Bodies
// ---------------------------------------------------------------------------------------------------------------------

const BODY_RULE = "a Uint8Array that still has its memory, or a string without lone surrogates"

/**
 * A body, as it is. A string with a lone surrogate is refused, since UTF-8 cannot express it.
 */
export const checkBody = (operation: string, value: unknown): Uint8Array | string | Errors.InvalidArgument => {
  const isBody = typeof value === "string" ? value.isWellFormed() : types.isUint8Array(value) && !isDetached(value)
  return isBody ? value as Uint8Array | string : Validate.refuse(operation, "body", value, BODY_RULE)
}

/**
 * The size of a body on the wire, in bytes; text is sent as UTF-8.
 */
export const sizeOf = (body: Uint8Array | string): number =>
  typeof body === "string" ? Buffer.byteLength(body) : trueLength.get!.call(body) as number

// The getters of the built-in class: a subclass can override `length` and `buffer`.
const typedArray: object = Object.getPrototypeOf(Uint8Array.prototype)
const trueLength = Object.getOwnPropertyDescriptor(typedArray, "length")!
const trueBuffer = Object.getOwnPropertyDescriptor(typedArray, "buffer")!

// An array whose memory was transferred has no length any more, and would be put as an empty body.
const isDetached = (bytes: Uint8Array): boolean =>
  sizeOf(bytes) === 0 && (trueBuffer.get!.call(bytes) as { readonly detached?: boolean }).detached === true

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
  const wrong = Validate.optionalTube("put", tube)
  if (isInvalid(wrong)) return wrong
  const line = Validate.putOptions(options)
  if (isInvalid(line)) return line
  const bytes = checkBody("put", body)
  return isInvalid(bytes) ? bytes : { head: `put ${line}`, body: bytes, size: sizeOf(bytes), usesTube: true, tube }
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
    const length = bodySize ?? sizeOf(body)
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
      const length = sizeOf(part)
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
