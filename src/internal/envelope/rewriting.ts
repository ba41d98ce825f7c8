/**
 * Jobs that a worker puts once more, with another head and the same payload.
 */
import { openEvent, sealEvent } from "./cloudEvents.ts"
import type { ContentType, Head } from "./head.ts"
import { openLine, sealLine } from "./line.ts"
import { messageId } from "./messageId.ts"
import type { Settings } from "./options.ts"

/** What changes in the head. */
export type Change = Partial<Pick<Head, "due" | "deadLetter">>

/** What changes the heads of the jobs of a tube. */
export class Rewriter {
  readonly #tube: string
  readonly #contentType: ContentType
  readonly #settings: Settings | undefined

  constructor(tube: string, contentType: ContentType, settings: Settings | undefined) {
    this.#tube = tube
    this.#contentType = contentType
    this.#settings = settings
  }

  /**
   * The body with a changed head, in the form that it has. A dead letter that came without an envelope gets one if the tube
   * writes envelopes. Where that cannot be, the body stays as it is.
   */
  rewrite(body: Uint8Array, change: Change, now: number): Uint8Array {
    const settings = this.#settings
    if (settings === undefined) return body
    const line = openLine(body)
    if (typeof line === "string") return body
    if (line.head !== undefined) return this.#line({ ...line.head, ...change }, line.payload) ?? body
    if (settings.writes === "bare") return body
    const { head, payload } = this.#openEvent(body, settings)
    if (head === undefined && change.deadLetter === undefined) return body
    const changed: Head = { contentType: this.#contentType, ...head ?? { id: messageId(now) }, ...change }
    return settings.writes === "cloudevents"
      ? Buffer.from(sealEvent(changed, payload, this.#tube))
      : this.#line(changed, payload) ?? body
  }

  #openEvent(body: Uint8Array, { writes }: Settings) {
    const bare = { head: undefined, payload: body }
    if (writes !== "cloudevents") return bare
    const event = openEvent(body, this.#tube, this.#contentType)
    return typeof event === "string" ? bare : event
  }

  // A long trace state, or what others have written, may leave no room.
  #line(head: Head, payload: Uint8Array): Uint8Array | undefined {
    const sealed = sealLine(head, payload)
    return typeof sealed === "string" ? undefined : sealed.body as Uint8Array
  }
}
