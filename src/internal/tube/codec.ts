/**
 * How the values of a tube become bodies, and bodies values: a Schema, and what its encoded side is on the wire.
 */
import * as Effect from "effect/Effect"
import * as SchemaBinary from "effect/encoding/SchemaBinary"
import * as Schema from "effect/Schema"
import * as Validate from "../protocol/validate.ts"
import * as Errors from "../../Errors.ts"
import type { RawJob } from "../../Protocol.ts"
import type { Body } from "../job/putAll.ts"

/**
 * - `json`: JSON text, of any Schema
 * - `text`: UTF-8 text; the Schema's encoded side is a string, and without a Schema the value is the text
 * - `bytes`: the bytes themselves; the Schema's encoded side is a `Uint8Array`, and without a Schema the value is the bytes
 * - `binary`: Effect's compact binary form (`effect/encoding/SchemaBinary`), of any Schema
 */
export type Name = "json" | "text" | "bytes" | "binary"

const NAMES: ReadonlyArray<Name> = ["json", "text", "bytes", "binary"]

/** What a body looks like from inside: what fails, fails with whatever says best what was wrong. */
export interface Codec<A, RD, RE> {
  readonly encode: (value: A) => Effect.Effect<Body, unknown, RE>
  readonly decode: (job: Pick<RawJob, "body">) => Effect.Effect<A, unknown, RD>
}

// Bytes that are no UTF-8 must not turn into replacement characters, and a byte order mark is part of what was put.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const textOf = (job: Pick<RawJob, "body">): Effect.Effect<string, unknown> => {
  try {
    return Effect.succeed(utf8.decode(job.body))
  } catch {
    return Effect.fail("it is not UTF-8")
  }
}

const bytesOf = (job: Pick<RawJob, "body">): Effect.Effect<Uint8Array> => Effect.succeed(job.body)

const through = <A, Raw extends Body, RD, RE>(
  schema: Schema.Codec<A, Raw, RD, RE>,
  raw: (job: Pick<RawJob, "body">) => Effect.Effect<Raw, unknown>
): Codec<A, RD, RE> => {
  const decode = Schema.decodeUnknownEffect(schema)
  const encode = Schema.encodeUnknownEffect(schema)
  return { encode, decode: (job) => Effect.flatMap(raw(job), (value) => decode(value)) }
}

const plainText: Codec<string, never, never> = { encode: Effect.succeed, decode: textOf }

const plainBytes: Codec<Uint8Array, never, never> = { encode: Effect.succeed, decode: bytesOf }

const isSchema = (schema: unknown): boolean => {
  try {
    return Schema.isSchema(schema)
  } catch {
    return false
  }
}

/** A codec that does nothing but say why. */
export const refusing = (wrong: Errors.InvalidArgument): Codec<never, never, never> => ({
  encode: () => Effect.fail(wrong),
  decode: () => Effect.fail(wrong)
})

/** The codec of that name for a Schema, which only text and bytes can do without, or what is wrong with either. */
export const make = <S extends Schema.Constraint>(
  name: Name,
  schema: S | undefined
): Codec<S["Type"], S["DecodingServices"], S["EncodingServices"]> | Errors.InvalidArgument => {
  const refuse = (rule: string) =>
    new Errors.InvalidArgument({ operation: "tube", argument: "schema", value: schema, rule })
  const known = Validate.oneOf("tube", "codec", name, NAMES)
  if (known instanceof Errors.InvalidArgument) return known
  if (schema === undefined) {
    if (name === "text") return plainText as never
    return name === "bytes" ? plainBytes as never : refuse(`a Schema, which the codec ${name} needs`)
  }
  if (!isSchema(schema)) return refuse("a Schema")
  try {
    return fromSchema(name, schema)
  } catch {
    return refuse(`a Schema that the codec ${name} can encode`)
  }
}

const fromSchema = <S extends Schema.Constraint>(
  name: Name,
  schema: S
): Codec<S["Type"], S["DecodingServices"], S["EncodingServices"]> => {
  type Of<Raw> = Schema.Codec<S["Type"], Raw, S["DecodingServices"], S["EncodingServices"]>
  switch (name) {
    case "json":
      return through(Schema.fromJsonString(Schema.toCodecJson(schema)) as unknown as Of<string>, textOf)
    case "text":
      return through(schema as unknown as Of<string>, textOf)
    case "bytes":
      return through(schema as unknown as Of<Uint8Array>, bytesOf)
    case "binary":
      return through(SchemaBinary.toCodec(schema), bytesOf)
  }
}
