/**
 * The option `envelope` of a tube, checked, with nothing left out.
 */
import * as Predicate from "effect/Predicate"
import type { EnvelopeOptions } from "../../Envelope.ts"
import * as Errors from "../../Errors.ts"
import * as Validate from "../protocol/validate.ts"
import { isSupported } from "./compression.ts"
import type { Compression, ContentType } from "./head.ts"

/** How a tube wraps its payloads. */
export interface Settings {
  /** What is written. */
  readonly writes: "bare" | "line" | "cloudevents"
  /** Whether bodies without an envelope are refused. */
  readonly requires: boolean
  /** Whether payloads of every codec and version are read. */
  readonly takesAll: boolean
  /** How a worker's span belongs to that of the put. */
  readonly trace: "parent" | "link" | "none"
  readonly compress: { readonly over: number; readonly algorithm: Compression } | undefined
  readonly version: number
  /** What brings a payload from this version to the next one. */
  readonly upcast: ReadonlyMap<number, (old: unknown) => unknown>
  /** The id of a value, of puts that give none. */
  readonly idOf: ((value: never) => string) | undefined
}

/** What a tube does with envelopes: nothing, without settings. */
export interface Wrapping {
  readonly tube: string
  readonly contentType: ContentType
  readonly settings: Settings | undefined
}

const OPERATION = "Tube.make"

const OPTIONS = Validate.optionNames<EnvelopeOptions<never>>({
  format: true,
  accept: true,
  require: true,
  trace: true,
  compress: true,
  version: true,
  upcast: true,
  id: true
})

type CompressOptions = Exclude<EnvelopeOptions<never>["compress"], boolean | undefined>

const COMPRESS = Validate.optionNames<CompressOptions>({
  over: true,
  algorithm: true
})

const DEFAULT_OVER = 8192

/** The settings of a tube with `envelope: true`. */
export const DEFAULTS: Settings = {
  writes: "line",
  requires: false,
  takesAll: false,
  trace: "parent",
  compress: undefined,
  version: 1,
  upcast: new Map(),
  idOf: undefined
}

/** The option of a tube of bytes that passes on what others have written, with any codec, and writes no envelope. */
export const ANY_PAYLOAD: EnvelopeOptions<unknown> = { accept: true }

const refuse = (argument: string, value: unknown, rule: string) => Validate.refuse(OPERATION, argument, value, rule)

const compressOf = (value: unknown): Settings["compress"] | Errors.InvalidArgument => {
  if (value === undefined || value === false) return undefined
  if (value !== true && !Predicate.isObject(value)) {
    return refuse("envelope.compress", value, "true, false, or an object with over and algorithm")
  }
  const given = Validate.snapshot(OPERATION, value === true ? {} : value as CompressOptions, COMPRESS)
  if (given instanceof Errors.InvalidArgument) return given
  const over = Validate.wholeNumber(OPERATION, "envelope.compress.over", given.over ?? DEFAULT_OVER, 0)
  if (over instanceof Errors.InvalidArgument) return over
  const algorithm = Validate.oneOf<Compression>(
    OPERATION,
    "envelope.compress.algorithm",
    given.algorithm ?? "gzip",
    ["gzip", "zstd"]
  )
  if (algorithm instanceof Errors.InvalidArgument) return algorithm
  return isSupported(algorithm)
    ? { over, algorithm }
    : refuse("envelope.compress.algorithm", algorithm, "one that this runtime has")
}

const upcastOf = (value: unknown, version: number): Settings["upcast"] | Errors.InvalidArgument => {
  const rule = `an object of functions, one for each version below ${version} whose payloads have to change`
  if (value === undefined) return new Map()
  if (!Predicate.isObject(value)) return refuse("envelope.upcast", value, rule)
  try {
    const entries = Object.entries(value).map(([from, upcast]) => [Number(from), upcast] as const)
    const isRight = entries.every(([from, upcast]) =>
      Number.isInteger(from) && from >= 1 && from < version && typeof upcast === "function"
    )
    if (isRight) return new Map(entries as ReadonlyArray<readonly [number, (old: unknown) => unknown]>)
  } catch {
    // An object that cannot be read.
  }
  return refuse("envelope.upcast", value, rule)
}

const contradiction = ({ accept, compress, format, require }: Partial<EnvelopeOptions<never>>) => {
  if (accept === true && require === true) return refuse("envelope.require", true, "left out, since accept is true")
  if (accept === true && format !== undefined) {
    return refuse("envelope.format", format, "left out, since accept is true: such a tube writes no envelope")
  }
  return format === "cloudevents" && compress !== undefined && compress !== false
    ? refuse("envelope.compress", compress, "left out, since the format is \"cloudevents\"")
    : undefined
}

/** What a tube does with envelopes: nothing, if it has no such option. */
export const settingsOf = (given: unknown): Settings | undefined | Errors.InvalidArgument => {
  if (given === undefined || given === false) return undefined
  if (given === true) return DEFAULTS
  if (given === "accept") return { ...DEFAULTS, writes: "bare" }
  if (given === ANY_PAYLOAD) return { ...DEFAULTS, writes: "bare", takesAll: true }
  if (given === "cloudevents") return { ...DEFAULTS, writes: "cloudevents" }
  if (!Predicate.isObject(given)) {
    return refuse("envelope", given, "true, false, \"accept\", \"cloudevents\", or an object of options")
  }
  return fromObject(given)
}

const fromObject = (given: EnvelopeOptions<never>): Settings | Errors.InvalidArgument => {
  const options = Validate.snapshot(OPERATION, given, OPTIONS)
  if (options instanceof Errors.InvalidArgument) return options
  const { id, version: atVersion = 1 } = options
  const formats = ["line", "cloudevents"] as const
  const format = Validate.oneOf(OPERATION, "envelope.format", options.format ?? "line", formats)
  const accept = Validate.flag(OPERATION, "envelope.accept", options.accept)
  const requires = Validate.flag(OPERATION, "envelope.require", options.require)
  const traces = ["parent", "link", "none"] as const
  const trace = Validate.oneOf(OPERATION, "envelope.trace", options.trace ?? "parent", traces)
  const version = Validate.wholeNumber(OPERATION, "envelope.version", atVersion, 1)
  const compress = compressOf(options.compress)
  if (format instanceof Errors.InvalidArgument) return format
  if (accept instanceof Errors.InvalidArgument) return accept
  if (requires instanceof Errors.InvalidArgument) return requires
  if (trace instanceof Errors.InvalidArgument) return trace
  if (version instanceof Errors.InvalidArgument) return version
  if (compress instanceof Errors.InvalidArgument) return compress
  const upcast = upcastOf(options.upcast, version)
  if (upcast instanceof Errors.InvalidArgument) return upcast
  if (id !== undefined && typeof id !== "function") {
    return refuse("envelope.id", id, "a function from a value to its id")
  }
  return contradiction(options) ??
    { ...DEFAULTS, writes: accept ? "bare" : format, requires, trace, compress, version, upcast, idOf: id }
}
