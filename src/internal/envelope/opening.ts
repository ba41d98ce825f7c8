/**
 * How a tube reads the body of a job: the head of its envelope if it has one, and the payload for the codec.
 */
import * as Effect from "effect/Effect"
import { openEvent } from "./cloudEvents.ts"
import { expand } from "./compression.ts"
import type { ContentType, Head } from "./head.ts"
import { beginsAsEnvelope, type Opened, openLine } from "./line.ts"
import type { Settings, Wrapping } from "./options.ts"

const BARE_JSON: ReadonlySet<ContentType> = new Set(["json", "binary"])

/** What reads the bodies of a tube. */
export class Opener {
  readonly #wrapping: Wrapping

  constructor(wrapping: Wrapping) {
    this.#wrapping = wrapping
  }

  /** Opens a body, or says in a sentence why the tube does not. The payload may still be compressed. */
  open(body: Uint8Array): Opened | string {
    const settings = this.#wrapping.settings
    if (settings === undefined) return this.#openBare(body)
    const line = openLine(body)
    const opened = typeof line === "string" || line.head !== undefined
      ? line
      : openEvent(body, this.#wrapping.tube, this.#wrapping.contentType)
    return typeof opened === "string" ? opened : this.#check(opened, settings)
  }

  // Text and bytes would be taken as they are, head and all; other codecs fail by themselves, but without the reason.
  #openBare(body: Uint8Array): Opened | string {
    const opened = { head: undefined, payload: body }
    if (body[0] !== 0x23 || !beginsAsEnvelope(body)) return opened
    const line = openLine(body)
    const isEnvelope = typeof line === "string" || line.head !== undefined || !BARE_JSON.has(this.#wrapping.contentType)
    return isEnvelope ? "it begins as an envelope does, which the tube does not read (its option envelope)" : opened
  }

  #check({ head, payload }: Opened, { requires, takesAll, version }: Settings): Opened | string {
    if (head === undefined) return requires ? "it has no envelope" : { head, payload }
    if (takesAll) return { head, payload }
    const { contentType = this.#wrapping.contentType, version: written = 1 } = head
    if (contentType !== this.#wrapping.contentType) {
      return `its payload is of the codec ${contentType}, and the tube has the codec ${this.#wrapping.contentType}`
    }
    return written > version
      ? `its payload is of version ${written}, and the tube reads versions up to ${version}`
      : { head, payload }
  }

  /** What brings a payload from the version in which it was written to that of the tube, if anything has to. */
  upcasting(head: Head | undefined): ((old: unknown) => unknown) | undefined {
    const settings = this.#wrapping.settings
    if (settings === undefined || settings.upcast.size === 0) return undefined
    const written = head?.version ?? 1
    const steps = [...settings.upcast].filter(([from]) => from >= written).toSorted(([a], [b]) => a - b)
    return steps.length === 0 ? undefined : (old) => steps.reduce((value, [, step]) => step(value), old)
  }
}

/** The payload as its codec wrote it. */
export const expanded = ({ head, payload }: Opened): Effect.Effect<Uint8Array, unknown> =>
  head?.compression === undefined ? Effect.succeed(payload) : expand(head.compression, payload)
