/**
 * Documents, such as the answer to `stats-job`, read byte by byte: a worker may ask for one per job, and text of them would
 * cost more than all the rest.
 */
import type { Buffer } from "node:buffer"

const CR = 13
const SPACE = 32
const ZERO = 48
const LETTER_K = 75
const LETTER_O = 79
export const LINE_FEED = 10

/** Numbers of so many digits are exact. */
const MAX_DIGITS = 15

const isCrLf = (bytes: Uint8Array, at: number): boolean => bytes[at] === CR && bytes[at + 1] === LINE_FEED

/** The digit of this byte; something else than 0 to 9 if it is none. */
export const digitOf = (byte: number | undefined): number => byte === undefined ? -1 : byte - ZERO

export const isDigit = (digit: number): boolean => digit >= 0 && digit <= 9

/** The document that begins here with `OK <bytes>`, not copied, if all of it is there up to the CRLF behind it. */
export const documentAt = (bytes: Buffer, from: number): Uint8Array | undefined => {
  if (bytes[from] !== LETTER_O || bytes[from + 1] !== LETTER_K || bytes[from + 2] !== SPACE) return undefined
  const first = from + 3
  let at = first
  let size = 0
  for (; at < first + MAX_DIGITS && isDigit(digitOf(bytes[at])); at++) size = size * 10 + digitOf(bytes[at])
  const start = at + 2
  if (at === first || !isCrLf(bytes, at) || !isCrLf(bytes, start + size)) return undefined
  return new Uint8Array(bytes.buffer, bytes.byteOffset + start, size)
}
