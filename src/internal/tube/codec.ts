/**
 * Turns the values of a tube into payloads and payloads into values: a Schema, and the form that its encoded side has on
 * the wire.
 */
import * as Effect from "effect/Effect"
import * as SchemaBinary from "effect/encoding/SchemaBinary"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as Errors from "../../Errors.ts"
import type { CodecName } from "../../Tube.ts"
import type { Body } from "../job/putAll.ts"
import * as Validate from "../protocol/validate.ts"

const NAMES: ReadonlyArray<CodecName> = ["json", "text", "bytes", "binary"]

/** What changes a payload that was written by an older Schema, once it has been read. */
export type Upcast = (old: unknown) => unknown

/**
 * Encodes and decodes payloads. Either fails with the value that explains best what was wrong: an error, or a sentence.
 */
export interface Codec<A, RD, RE> {
  readonly name: CodecName
  readonly encode: (value: A) => Effect.Effect<Body, unknown, RE>
  readonly decode: (payload: Uint8Array) => Effect.Effect<A, unknown, RD>
  readonly decodeOld: (payload: Uint8Array, upcast: Upcast) => Effect.Effect<A, unknown, RD>
}

// Invalid UTF-8 must fail instead of turning into replacement characters. A byte order mark belongs to the value.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const textOf = (payload: Uint8Array): Effect.Effect<string, unknown> => {
  try {
    return Effect.succeed(utf8.decode(payload))
  } catch {
    return Effect.fail("it is not UTF-8")
  }
}

const bytesOf: (payload: Uint8Array) => Effect.Effect<Uint8Array, unknown> = Effect.succeed

const attempt = <A, B>(from: Effect.Effect<A, unknown>, change: (value: A) => B): Effect.Effect<B, unknown> =>
  Effect.flatMap(from, (value) => {
    try {
      return Effect.succeed(change(value))
    } catch (thrown) {
      return Effect.fail(thrown)
    }
  })

// Schemas with optional members take an object of another kind for one without any.
const upcasted = (from: Effect.Effect<unknown, unknown>, upcast: Upcast): Effect.Effect<unknown, unknown> =>
  Effect.filterOrFail(
    attempt(from, upcast),
    (value) => !Effect.isEffect(value) && !Predicate.isPromiseLike(value),
    () => "its upcast gave an Effect or a Promise, and has to give the value"
  )

const jsonOf = (payload: Uint8Array): Effect.Effect<unknown, unknown> =>
  attempt(textOf(payload), (text) => JSON.parse(text) as unknown)

const through = <A, Raw extends Body, RD, RE>(
  name: CodecName,
  schema: Schema.Codec<A, Raw, RD, RE>,
  raw: (payload: Uint8Array) => Effect.Effect<Raw, unknown>
): Codec<A, RD, RE> => {
  const decode = Schema.decodeUnknownEffect(schema)
  const encode = Schema.encodeUnknownEffect(schema)
  return {
    name,
    encode,
    decode: (payload) => Effect.flatMap(raw(payload), decode),
    decodeOld: (payload, upcast) => Effect.flatMap(upcasted(raw(payload), upcast), decode)
  }
}

// What a Schema does without: the value is the payload. An upcast can make anything of it.
const plain = <A extends Body>(
  name: CodecName,
  raw: (payload: Uint8Array) => Effect.Effect<A, unknown>,
  isValid: (value: unknown) => value is A
): Codec<A, never, never> => ({
  name,
  encode: Effect.succeed,
  decode: raw,
  decodeOld: (payload, upcast) =>
    Effect.filterOrFail(upcasted(raw(payload), upcast), isValid, () => `its upcast did not give ${name}`)
})

const plainText = plain("text", textOf, Predicate.isString)

const plainBytes = plain("bytes", bytesOf, Predicate.isUint8Array)

/**
 * The codec of that name for a Schema, which only `text` and `bytes` can do without, or the error that refuses them.
 */
export const make = <S extends Schema.Constraint>(
  name: CodecName,
  schema: S | undefined
): Codec<S["Type"], S["DecodingServices"], S["EncodingServices"]> | Errors.InvalidArgument => {
  const refuse = (rule: string) =>
    new Errors.InvalidArgument({ operation: "Tube.make", argument: "schema", value: schema, rule })
  const known = Validate.oneOf("Tube.make", "codec", name, NAMES)
  if (known instanceof Errors.InvalidArgument) return known
  if (schema === undefined) {
    if (name === "text") return plainText as never
    return name === "bytes" ? plainBytes as never : refuse(`a Schema, which the codec ${name} needs`)
  }
  try {
    return Schema.isSchema(schema) ? fromSchema(name, schema) : refuse("a Schema")
  } catch {
    // A Proxy can refuse even to be looked at.
    return refuse(`a Schema that the codec ${name} can encode`)
  }
}

// Older payloads are changed between the two steps that are one otherwise.
const json = <S extends Schema.Constraint>(
  schema: S
): Codec<S["Type"], S["DecodingServices"], S["EncodingServices"]> => {
  type Of<Raw> = Schema.Codec<S["Type"], Raw, S["DecodingServices"], S["EncodingServices"]>
  const parsed = Schema.toCodecJson(schema)
  const decode = Schema.decodeUnknownEffect(parsed)
  return {
    ...through("json", Schema.fromJsonString(parsed) as unknown as Of<string>, textOf),
    decodeOld: (payload, upcast) => Effect.flatMap(upcasted(jsonOf(payload), upcast), decode)
  }
}

const fromSchema = <S extends Schema.Constraint>(
  name: CodecName,
  schema: S
): Codec<S["Type"], S["DecodingServices"], S["EncodingServices"]> => {
  type Of<Raw> = Schema.Codec<S["Type"], Raw, S["DecodingServices"], S["EncodingServices"]>
  switch (name) {
    case "json":
      return json(schema)
    case "text":
      return through(name, schema as unknown as Of<string>, textOf)
    case "bytes":
      return through(name, schema as unknown as Of<Uint8Array>, bytesOf)
    case "binary":
      return through(name, SchemaBinary.toCodec(schema), bytesOf as (payload: Uint8Array) => Effect.Effect<never>)
  }
}
