/**
 * The format of test/fixtures/server.json. Connections 0 to `connections - 1` are opened before the first step, but
 * for the lazy ones. The fields of one step act in this order: mark, sleep, drain, open, send, close, silence, expect.
 *
 * Strings are Latin-1 and may hold placeholders:
 * - `{tube:x}`: a tube name that no other run uses
 * - `{rep:X:n}`: the text X n times
 * - `{id:a}`: in an expectation, as long as a is unknown, digits that are then remembered; else the number
 * - `{id:a+k}`, `{id:a-k}`: that number plus or minus k
 */

export interface Scenario {
  readonly name: string
  readonly group: string
  readonly source: string
  readonly note?: string
  readonly connections: number
  readonly lazy?: ReadonlyArray<number>
  readonly needs?: Needs
  readonly steps: ReadonlyArray<Step>
}

/** An entry for clients: a fake server plays the script. */
export interface Scripted {
  readonly name: string
  readonly kind: "scripted"
}

export interface Needs {
  /** A server that nobody has used yet. */
  readonly fresh?: boolean
  /** Nobody else may be connected. */
  readonly exclusive?: boolean
  readonly maxJobSize?: number
  readonly drain?: boolean
  /** "1.12": that or older; ">=1.13": that or newer. */
  readonly version?: string
}

export interface Step {
  readonly conn?: number
  readonly mark?: string
  readonly sleepMs?: number
  readonly drain?: boolean
  readonly open?: boolean
  readonly send?: string
  readonly halfClose?: boolean
  readonly close?: boolean
  readonly reset?: boolean
  readonly silentMs?: number
  readonly expect?: Expectation
  readonly eof?: boolean
  /** The mark from which minMs and maxMs count; without it they count from the beginning of the step. */
  readonly since?: string
  readonly minMs?: number
  readonly maxMs?: number
}

export type Expectation =
  /** Exactly these bytes come next. */
  | string
  /** One whole reply, body and all, in which the regex (in Python's dialect, dot is any byte) matches everything. */
  | { readonly regex?: string; readonly contains?: ReadonlyArray<string> }

/** Whether a server of `version` is one of those that a scenario is about. */
export const isForVersion = (wanted: string | undefined, version: string): boolean => {
  if (wanted === undefined) return true
  const number = (text: string) => {
    const [, major, minor] = /(\d+)\.(\d+)/.exec(text) ?? []
    return Number(major) * 1000 + Number(minor)
  }
  return wanted.startsWith(">=") ? number(version) >= number(wanted.slice(2)) : number(version) <= number(wanted)
}

const quoted = (text: string) => text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&")

/** What a template consists of: an unknown id is one that has no value yet, `text` is its name. */
interface Part {
  readonly kind: "between" | "value" | "unknown"
  readonly text: string
}

/** Fills placeholders, and remembers the ids that patterns have captured. */
export class Placeholders {
  readonly #ids = new Map<string, bigint>()
  readonly #prefix: string

  constructor(prefix: string) {
    this.#prefix = prefix
  }

  /** Bytes to send: every id must be known. */
  text(template: string): string {
    return this.#parts(template).map(({ kind, text }) => {
      if (kind === "unknown") throw new Error(`the placeholder {id:${text}} has no value`)
      return text
    }).join("")
  }

  /**
   * How many bytes of `text` are the template's, undefined if they are others or too few; captures what was unknown.
   * Not a regex, which could not hold the body of a large job.
   */
  take(template: string, text: string): number | undefined {
    const captured: Record<string, string> = {}
    let position = 0
    for (const part of this.#parts(template)) {
      let wanted: string | undefined = part.text
      if (part.kind === "unknown") {
        wanted = captured[part.text] ?? /^\d+/.exec(text.slice(position, position + 20))?.[0]
        if (wanted !== undefined) captured[part.text] = wanted
      }
      if (wanted === undefined || !text.startsWith(wanted, position)) return undefined
      position += wanted.length
    }
    this.#remember(captured)
    return position
  }

  /** Whether the template, a regex of Python but for its placeholders, matches all of `text`; captures. */
  matches(regex: string, text: string): boolean {
    const translated = (between: string) => between.replaceAll("(?P<", "(?<").replace(/\(\?P=(\w+)\)/g, "\\k<$1>")
    return this.#exec(`^(?:${this.#source(regex, translated)})$`, text)
  }

  /** Whether the template is somewhere in `text`; captures. */
  isIn(template: string, text: string): boolean {
    return this.#exec(this.#source(template, quoted), text)
  }

  #exec(source: string, text: string): boolean {
    const match = new RegExp(source, "s").exec(text)
    this.#remember(match?.groups ?? {})
    return match !== null
  }

  #source(template: string, between: (text: string) => string): string {
    const captured = new Set<string>()
    return this.#parts(template).map(({ kind, text }) => {
      if (kind === "between") return between(text)
      if (kind === "value") return quoted(text)
      if (captured.has(text)) return `\\k<${text}>`
      captured.add(text)
      return `(?<${text}>[0-9]+)`
    }).join("")
  }

  #remember(captured: Record<string, string>): void {
    for (const [name, digits] of Object.entries(captured)) this.#ids.set(name, BigInt(digits))
  }

  #parts(template: string): ReadonlyArray<Part> {
    const parts: Array<Part> = []
    let position = 0
    for (const match of template.matchAll(/\{(tube|id|rep):([^{}]*?)\}/gs)) {
      parts.push({ kind: "between", text: template.slice(position, match.index) }, this.#value(match[1]!, match[2]!))
      position = match.index + match[0].length
    }
    parts.push({ kind: "between", text: template.slice(position) })
    return parts
  }

  #value(kind: string, argument: string): Part {
    if (kind === "tube") return { kind: "value", text: `${this.#prefix}-${argument}` }
    if (kind === "rep") {
      const colon = argument.lastIndexOf(":")
      return { kind: "value", text: argument.slice(0, colon).repeat(Number(argument.slice(colon + 1))) }
    }
    const [, name, offset] = /^(\w+?)([+-]\d+)?$/.exec(argument) ?? []
    const id = this.#ids.get(name!)
    if (id !== undefined) return { kind: "value", text: String(id + BigInt(offset ?? 0)) }
    if (offset !== undefined) throw new Error(`the placeholder {id:${argument}} has no value`)
    return { kind: "unknown", text: name! }
  }
}
