/**
 * Commands that wait: to be sent, or for their replies.
 */
import type * as Exit from "effect/Exit"
import type * as Protocol from "../../Protocol.ts"
import type { JobId } from "../protocol/scalars.ts"

/** Any row of the table. */
export type AnyCommand = Protocol.Command<never, unknown, unknown, unknown>
/** How a command ended. */
export type Answer = Exit.Exit<unknown, unknown>

/** A command between the fiber that issued it and the server. */
export class Pending {
  readonly command: AnyCommand
  readonly request: Protocol.Request
  /** Undefined once nobody waits for the answer. */
  resume: ((answer: Answer) => void) | undefined
  state: "queued" | "sent" | "answered" = "queued"
  /** The job that the answer brought, while nobody else is known to have it. */
  reserved: JobId | undefined
  previous: Pending | undefined
  next: Pending | undefined
  constructor(command: AnyCommand, request: Protocol.Request, resume: ((answer: Answer) => void) | undefined) {
    this.command = command
    this.request = request
    this.resume = resume
  }
}

/** First in, first out, and out of the middle when a command is withdrawn. */
export class PendingList {
  head: Pending | undefined
  tail: Pending | undefined
  size = 0

  append(pending: Pending): void {
    pending.previous = this.tail
    if (this.tail === undefined) this.head = pending
    else this.tail.next = pending
    this.tail = pending
    this.size++
  }

  remove(pending: Pending): void {
    if (pending.previous === undefined) this.head = pending.next
    else pending.previous.next = pending.next
    if (pending.next === undefined) this.tail = pending.previous
    else pending.next.previous = pending.previous
    pending.previous = pending.next = undefined
    this.size--
  }

  shift(): Pending | undefined {
    const pending = this.head
    if (pending !== undefined) this.remove(pending)
    return pending
  }
}
