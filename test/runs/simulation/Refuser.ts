/**
 * Has the server refuse some commands of workers for a while, as a fork does that lacks them, or a server with a bug: the
 * command is answered with an error, and nothing is done.
 */
import type { ServerConnection } from "../../../src/internal/server/serverConnection.ts"
import type { Store } from "../../../src/internal/server/store.ts"
import type { Ledger, Refused } from "./Ledger.ts"
import type { Link } from "./Network.ts"

/** Refuses commands. */
export class Refuser {
  readonly #ledger: Ledger
  /** The command that is refused now, and the answer to it. */
  refused: { readonly command: Refused; readonly answer: "INTERNAL_ERROR" | "UNKNOWN_COMMAND" } | undefined
  /** The connection whose command is being refused. */
  #conn: ServerConnection | undefined

  constructor(ledger: Ledger, store: Store) {
    this.#ledger = ledger
    const remove = store.delete.bind(store)
    store.delete = (id, reserver) => this.#conn === undefined && remove(id, reserver)
    const isHeldBy = store.isHeldBy.bind(store)
    const isHeld: typeof isHeldBy = (job, reserver): job is NonNullable<typeof job> =>
      this.#conn === undefined && isHeldBy(job, reserver)
    store.isHeldBy = isHeld
  }

  /** A connection was accepted. */
  meet(link: Link, conn: ServerConnection): void {
    const count = conn.count.bind(conn)
    const reply = conn.reply.bind(conn)
    const replyWithBody = conn.replyWithBody.bind(conn)
    conn.count = (command) => {
      count(command)
      if (command === this.refused?.command && this.#ledger.workers.has(link.client)) this.#conn = conn
    }
    conn.reply = (line) => reply(this.#answerTo(conn, link) ?? line)
    conn.replyWithBody = (head, body) => {
      const answer = this.#answerTo(conn, link)
      if (answer === undefined) replyWithBody(head, body)
      else reply(answer)
    }
  }

  #answerTo(conn: ServerConnection, { client, name }: Link): string | undefined {
    if (this.#conn !== conn) return undefined
    this.#conn = undefined
    const { answer, command } = this.refused!
    this.#ledger.world.tell(`server refuses ${command} of ${name}: ${answer}`)
    this.#ledger.refused(client, command, answer === "UNKNOWN_COMMAND")
    return answer
  }
}
