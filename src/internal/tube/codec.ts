/**
 * Turns the values of a tube into bodies and bodies into values: a Schema, and the form that its encoded side has on
 * the wire.
 */
import * as Effect from "effect/Effect"
import * as SchemaBinary from "effect/encoding/SchemaBinary"
import * as Schema from "effect/Schema"
import * as Errors from "../../Errors.ts"
import type { RawJob } from "../../Protocol.ts"
import type { CodecName } from "../../Tube.ts"
import type { Body } from "../job/putAll.ts"
import * as Validate from "../protocol/validate.ts"

const NAMES: ReadonlyArray<CodecName> = ["json", "text", "bytes", "binary"]

/**
 * Encodes and decodes bodies. Either fails with the value that explains best what was wrong: an error, or a sentence.
 */
export interface Codec<A, RD, RE> {
  readonly encode: (value: A) => Effect.Effect<Body, unknown, RE>
  readonly decode: (job: Pick<RawJob, "body">) => Effect.Effect<A, unknown, RD>
}

// Invalid UTF-8 must fail instead of turning into replacement characters. A byte order mark belongs to the value.
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

const fromSchema = <S extends Schema.Constraint>(
  name: CodecName,
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
