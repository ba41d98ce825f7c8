/**
 * The head of an envelope: what beanstalkd has no headers for, under the names that programs use and the short ones that
 * travel.
 */
import * as Predicate from "effect/Predicate"

/** How a payload is to be read, as the codecs of tubes are named. */
export type ContentType = "json" | "text" | "bytes" | "binary"

/** How a payload is compressed. */
export type Compression = "gzip" | "zstd"

/** Where a dead letter comes from, and why it is one. */
export interface DeadLetter {
  /** The tube in which the job failed. */
  readonly tube: string
  /** The address of its server. */
  readonly server: string
  /** The id that the job had there. */
  readonly id: number
  /** How many attempts it had, if the server has told. */
  readonly attempts?: number | undefined
  /** When it failed for good, in milliseconds since 1970. */
  readonly at: number
  /** What it failed with, in short. */
  readonly error: string
}

/** See `Envelope.Head`. The name in parentheses is the one that travels. */
export interface Head {
  /** The idempotency key: it stays the same through retries, dead letters and further puts of the same job. (`id`) */
  readonly id: string
  /** When the job was put. Tubes always write it, others may not. (`at`) */
  readonly at?: number | undefined
  /** When its delay is over, if it was put with one. (`due`) */
  readonly due?: number | undefined
  /** From when on nobody needs the job. (`exp`) */
  readonly exp?: number | undefined
  /** The span in which the job was put, as the `traceparent` of W3C Trace Context. (`tp`) */
  readonly traceparent?: string | undefined
  /** The `tracestate` of W3C Trace Context. (`ts`) */
  readonly tracestate?: string | undefined
  /** The codec that wrote the payload. (`ct`) */
  readonly contentType?: ContentType | undefined
  /** The version of the Schema that wrote it; 1 if it says none. (`sv`) */
  readonly version?: number | undefined
  /** How the payload is compressed. (`ce`) */
  readonly compression?: Compression | undefined
  /** How many attempts the job has, in place of what its worker says. (`max`) */
  readonly maxAttempts?: number | undefined
  /** The tube in which an answer is awaited. (`re`) */
  readonly replyTo?: string | undefined
  /** What the job belongs to: the request that it answers, the pipeline that it is part of. (`cid`) */
  readonly correlationId?: string | undefined
  /** Who put the job. (`by`) */
  readonly by?: string | undefined
  /** Of a dead letter, where it comes from and why. (`dl`) */
  readonly deadLetter?: DeadLetter | undefined
  /** What else its writer has said. It is passed on as it is. */
  readonly other?: Readonly<Record<string, unknown>> | undefined
}

/** A member of the head, but for `other`. */
export type Name = Exclude<keyof Head, "other">

interface Member {
  readonly name: Name
  readonly wire: string
  readonly isValid: (value: unknown) => boolean
  readonly rule: string
}

const isWhole = (least: number) => (value: unknown) => Number.isSafeInteger(value) && (value as number) >= least

const isText = (value: unknown) => typeof value === "string" && value !== ""

const isOneOf = (allowed: ReadonlyArray<string>) => (value: unknown) => allowed.includes(value as string)

const isTime = (value: unknown) => typeof value === "number" && Number.isFinite(value) && Math.abs(value) <= 8.64e15

const isDeadLetter = (value: unknown): boolean => {
  if (!Predicate.isObject(value)) return false
  const { at, attempts, error, id, server, tube } = value as Readonly<Record<string, unknown>>
  return [tube, server, error].every(Predicate.isString) && isWhole(0)(id) && isTime(at) &&
    (attempts === undefined || isWhole(0)(attempts))
}

const TEXT = "text, not empty"
const TIME = "milliseconds since 1970"

const CONTENT_TYPES: ReadonlyArray<ContentType> = ["json", "text", "bytes", "binary"]
const COMPRESSIONS: ReadonlyArray<Compression> = ["gzip", "zstd"]

const listed = (allowed: ReadonlyArray<string>) => `one of ${allowed.map((one) => JSON.stringify(one)).join(", ")}`

/** All members, in the order in which they are written. */
export const MEMBERS: ReadonlyArray<Member> = [
  { name: "id", wire: "id", isValid: isText, rule: TEXT },
  { name: "at", wire: "at", isValid: isTime, rule: TIME },
  { name: "due", wire: "due", isValid: isTime, rule: TIME },
  { name: "exp", wire: "exp", isValid: isTime, rule: TIME },
  { name: "traceparent", wire: "tp", isValid: isText, rule: TEXT },
  { name: "tracestate", wire: "ts", isValid: isText, rule: TEXT },
  { name: "contentType", wire: "ct", isValid: isOneOf(CONTENT_TYPES), rule: listed(CONTENT_TYPES) },
  { name: "version", wire: "sv", isValid: isWhole(1), rule: "a whole number, at least 1" },
  { name: "compression", wire: "ce", isValid: isOneOf(COMPRESSIONS), rule: listed(COMPRESSIONS) },
  { name: "maxAttempts", wire: "max", isValid: isWhole(1), rule: "a whole number, at least 1" },
  { name: "replyTo", wire: "re", isValid: isText, rule: TEXT },
  { name: "correlationId", wire: "cid", isValid: isText, rule: TEXT },
  { name: "by", wire: "by", isValid: isText, rule: TEXT },
  {
    name: "deadLetter",
    wire: "dl",
    isValid: isDeadLetter,
    rule: "an object with the texts tube, server and error, the number id and the time at"
  }
]

const BY_WIRE: ReadonlyMap<string, Member> = new Map(MEMBERS.map((member) => [member.wire, member]))

type Writable = { -readonly [K in keyof Head]: Head[K] }

/** What a head says that is not a head: a sentence. */
export const refuse = (head: Readonly<Record<string, unknown>>): string | undefined => {
  for (const { isValid, name, rule } of MEMBERS) {
    const value = head[name]
    if (value === undefined ? name === "id" : !isValid(value)) return `its ${name} must be ${rule}`
  }
  const { other } = head
  if (other === undefined) return undefined
  if (!Predicate.isObject(other)) return "its other must be an object"
  const known = Object.keys(other).find((key) => BY_WIRE.has(key))
  return known === undefined ? undefined : `its other must not have ${known}, which is ${BY_WIRE.get(known)!.name}`
}

/** The head of a parsed object, or the sentence that refuses it. Members that are null are taken as left out. */
export const fromWire = (parsed: Readonly<Record<string, unknown>>): Head | string => {
  const head: Partial<Writable> = {}
  const values = head as Record<string, unknown>
  let other: Record<string, unknown> | undefined
  for (const key of Object.keys(parsed)) {
    const value = parsed[key]
    const member = BY_WIRE.get(key)
    if (member === undefined) (other ??= {})[key] = value
    else if (value !== null) {
      if (!member.isValid(value)) return `its member ${JSON.stringify(key)} must be ${member.rule}`
      values[member.name] = value
    }
  }
  if (head.id === undefined) return `its member "id" must be ${TEXT}`
  if (other !== undefined) head.other = other
  return head as Head
}

/** The object that travels. */
export const toWire = (head: Head): Record<string, unknown> => {
  const wire: Record<string, unknown> = {}
  for (const { name, wire: key } of MEMBERS) {
    const value = head[name]
    if (value !== undefined) wire[key] = value
  }
  for (const [key, value] of Object.entries(head.other ?? {})) if (!BY_WIRE.has(key)) wire[key] = value
  return wire
}
