/**
 * Jobs that a worker puts once more, with another head and the same payload.
 */
import { changeEvent, openEvent, sealEvent } from "./cloudEvents.ts"
import type { Head } from "./head.ts"
import { openLine, sealLine } from "./line.ts"
import { messageId } from "./messageId.ts"
import type { Wrapping } from "./options.ts"

/** What changes in the head. */
export type Change = Partial<Pick<Head, "due" | "deadLetter">>

// How much of its error a dead letter tells where the head has no room for all of it.
const SHORTER_ERRORS = [500, 100, 0]

// A dead letter waits for whoever looks at it: it neither expires nor is it late.
const changed = (head: Head, change: Change): Head =>
  change.deadLetter === undefined ? { ...head, ...change } : { ...head, due: undefined, exp: undefined, ...change }

/** What changes the heads of the jobs of a tube. */
export class Rewriter {
  readonly #wrapping: Wrapping

  constructor(wrapping: Wrapping) {
    this.#wrapping = wrapping
  }

  /**
   * The body with a changed head, in the form that it has. A dead letter that came without an envelope gets one if the tube
   * writes envelopes. Where that cannot be, the body stays as it is.
   */
  rewrite(body: Uint8Array, change: Change, now: number): Uint8Array {
    const settings = this.#wrapping.settings
    if (settings === undefined) return body
    const line = openLine(body)
    if (typeof line === "string") return body
    if (line.head !== undefined) return this.#line(line.head, change, line.payload) ?? body
    const event = openEvent(body, this.#wrapping.tube, this.#wrapping.contentType)
    if (typeof event === "string") return body
    if (event.head !== undefined) return Buffer.from(changeEvent(body, change))
    if (settings.writes === "bare" || change.deadLetter === undefined) return body
    const head: Head = { id: messageId(now), contentType: this.#wrapping.contentType }
    return settings.writes === "cloudevents"
      ? Buffer.from(sealEvent({ ...head, ...change }, body, this.#wrapping.tube))
      : this.#line(head, change, body) ?? body
  }

  // A long trace state, or what others have written, may leave little room.
  #line(head: Head, change: Change, payload: Uint8Array): Uint8Array | undefined {
    for (const shorter of [change, ...shortened(change)]) {
      const sealed = sealLine(changed(head, shorter), payload)
      if (typeof sealed !== "string") return sealed.body as Uint8Array
    }
    // Not even a reason without an error, but the job must not expire.
    const sealed = sealLine(
      change.deadLetter === undefined ? head : { ...head, due: undefined, exp: undefined },
      payload
    )
    return typeof sealed === "string" ? undefined : sealed.body as Uint8Array
  }
}

const shortened = ({ deadLetter, ...change }: Change): ReadonlyArray<Change> =>
  deadLetter === undefined
    ? []
    : SHORTER_ERRORS.map((length) => ({
      ...change,
      deadLetter: { ...deadLetter, error: deadLetter.error.slice(0, length) }
    }))
