/**
 * The members of a JSON object as they are written, so that one can be read or changed and the others stay what they are: a
 * number that JavaScript cannot hold, a time with nanoseconds.
 */

/** A member of an object, in its text. */
export interface JsonMember {
  readonly name: string
  /** Where its name begins, and where its value ends. */
  readonly from: number
  readonly to: number
  /** The text of its value. */
  readonly value: string
}

const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a

const isOpening = (code: number): boolean => code === 0x5b || code === 0x7b
const isClosing = (code: number): boolean => code === 0x5d || code === 0x7d

const isEscaped = (text: string, at: number): boolean => {
  let before = at
  while (text[before - 1] === "\\") before--
  return (at - before) % 2 === 1
}

// Behind the quote that ends the string which begins here.
const endOfString = (text: string, from: number): number => {
  let at = text.indexOf("\"", from + 1)
  while (isEscaped(text, at)) at = text.indexOf("\"", at + 1)
  return at + 1
}

const nameOf = (quoted: string): string =>
  quoted.includes("\\") ? JSON.parse(quoted) as string : quoted.slice(1, quoted.lastIndexOf("\""))

/** The members of an object, in their order. The text must be one that `JSON.parse` has taken for an object. */
export const membersOf = (text: string): ReadonlyArray<JsonMember> => {
  const members: Array<JsonMember> = []
  let depth = 0
  let from = -1
  let colon = -1
  const end = (to: number) => {
    if (from === -1) return
    members.push({ name: nameOf(text.slice(from, colon)), from, to, value: text.slice(colon + 1, to).trim() })
    from = colon = -1
  }
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      if (from === -1) from = at
      at = endOfString(text, at) - 1
    } else if (isOpening(code)) depth++
    else if (isClosing(code)) {
      if (depth-- === 1) end(at)
    } else if (depth === 1 && code === COMMA) end(at)
    else if (depth === 1 && code === COLON) colon = at
  }
  return members
}

/** The object with other members: the text of a value for each that is to be there, and undefined for each that is not. */
export const withMembers = (text: string, changes: Readonly<Record<string, string | undefined>>): string => {
  const kept = membersOf(text).filter(({ name }) => !Object.hasOwn(changes, name))
  const added = Object.entries(changes).filter(([, value]) => value !== undefined)
  return `{${
    [
      ...kept.map(({ from, to }) => text.slice(from, to).trimEnd()),
      ...added.map(([name, value]) => `${JSON.stringify(name)}:${value}`)
    ].join(",")
  }}`
}
