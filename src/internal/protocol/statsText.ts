/**
 * The text of the statistics replies and lists: lines `key: value` or `- name` after a first line `---`. The server
 * calls it YAML, but a YAML parser misreads it: in some version of the server a tube named `123` or `true`, an id of
 * digits only, or an `os` that begins with `#` is bare text. So the text is split into lines, one pair of quotes is
 * taken off, and the Schema of each field decides what is a number.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"

// ---------------------------------------------------------------------------------------------------------------------
// Fields
// ---------------------------------------------------------------------------------------------------------------------

// Digits, a fraction where there are seconds, and a sign: a job whose expiry the server has yet to notice has less than
// no time left. `Number` would take more than that, such as `0x10`.
const Digits = Schema.String.check(Schema.isPattern(/^-?[0-9]+(\.[0-9]+)?$/))

const NumberFromDigits = Digits.pipe(
  Schema.decodeTo(Schema.Finite, { decode: SchemaGetter.Number<string>(), encode: SchemaGetter.String<number>() })
)

/** A number, 0 if the server leaves it out. Number and default in one step, since statistics consist of little else. */
export const Amount = Schema.optionalKey(Digits).pipe(
  Schema.decodeTo(Schema.Finite, {
    decode: SchemaGetter.transformOptional((digits) => Option.some(Number(Option.getOrElse(digits, () => "0")))),
    encode: SchemaGetter.String<number>()
  })
)

/** A text, empty if the server leaves it out. */
export const Text = Schema.String.pipe(Schema.withDecodingDefaultKey(Effect.succeed("")))

/** A number that older servers do not have. */
export const NewerAmount = Schema.optionalKey(NumberFromDigits)

/** A text that older servers do not have. */
export const NewerText = Schema.optionalKey(Schema.String)

/** `true` or `false`. */
export const TrueOrFalse = Schema.Literals(["true", "false"]).pipe(Schema.decodeTo(Schema.Boolean, {
  decode: SchemaGetter.transform((text: "true" | "false") => text === "true"),
  encode: SchemaGetter.transform((value) => value ? "true" : "false")
}))

/** The fields that all statistics have beside those of the server. */
export const ReplyFields = {
  /** The reply as the server sent it. */
  raw: Schema.String,
  /** The fields of the reply that this class does not know, by the server's own names. */
  extra: Schema.Record(Schema.String, Schema.String)
}

// ---------------------------------------------------------------------------------------------------------------------
// Lines
// ---------------------------------------------------------------------------------------------------------------------

const unquote = (value: string): string =>
  value.length > 1 && value.startsWith("\"") && value.endsWith("\"") ? value.slice(1, -1) : value

const toWireName = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

/**
 * Calls `take` with the key and the value of each line that has both, in order. It is a loop over positions, without a
 * string per line: a worker may ask for the statistics of every job.
 */
export const forEachEntry = (text: string, take: (key: string, value: string) => void): void => {
  let colon = text.indexOf(":")
  for (let at = 0; colon !== -1 && at < text.length;) {
    const lineFeed = text.indexOf("\n", at)
    const end = lineFeed === -1 ? text.length : lineFeed
    if (colon < at) colon = text.indexOf(":", at)
    if (colon > at && colon < end) take(text.slice(at, colon), unquote(text.slice(colon + 1, end).trim()))
    at = end + 1
  }
}

/** The names in a reply to one of the `list-...` commands. */
export const parseList = (text: string): ReadonlyArray<string> =>
  text.split("\n").filter((line) => line.startsWith("- ")).map((line) => unquote(line.slice(2).trim()))

/** The text of a reply. Every document of the server begins with this line. */
export const Document = Schema.String.check(Schema.isPattern(/^---\n/))

interface ReplyText {
  readonly raw: string
}

/**
 * Sorts the entries of a text into the fields of a class and the rest. The Schema of the class judges the result as it
 * is, so the type that it is given here is a promise that the Schema keeps.
 */
export const sortFields = <Encoded extends ReplyText>(fields: Readonly<Record<string, unknown>>) => {
  const names = new Map(Object.keys(fields).map((name) => [toWireName(name), name]))
  return (raw: string): Encoded => {
    const known: Record<string, unknown> = {}
    const extra: Array<[string, string]> = []
    forEachEntry(raw, (key, value) => {
      const name = names.get(key)
      if (name === undefined || name in ReplyFields) extra.push([key, value])
      else known[name] = value
    })
    return Object.assign(known, { raw, extra: Object.fromEntries(extra) }) as unknown as Encoded
  }
}

/** Statistics as text again: the text that they came from. */
export const encodeRaw = SchemaGetter.transform((encoded: ReplyText) => encoded.raw)
