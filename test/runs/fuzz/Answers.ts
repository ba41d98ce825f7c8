/**
 * Holds what hostile clients have received against what they have sent.
 */
import assert from "node:assert/strict"
import { replyLength } from "../../conformance/RawSocket.ts"
import { type Demand, demandsOf } from "./Demands.ts"
import type { Hostile } from "./Peers.ts"

interface Reply {
  readonly line: string
  readonly body: string
}

const repliesIn = (received: string): { readonly replies: ReadonlyArray<Reply>; readonly rest: string } => {
  const replies: Array<Reply> = []
  let rest = received
  for (let length = replyLength(rest); length !== undefined; length = replyLength(rest)) {
    const reply = rest.slice(0, length)
    assert.ok(reply.endsWith("\r\n"), "a body that is longer than its length")
    const end = reply.indexOf("\r\n")
    replies.push({ line: reply.slice(0, end), body: reply.slice(end + 2, -2) })
    rest = rest.slice(length)
  }
  return { replies, rest }
}

/** The jobs of a round, by the replies that tell of them. */
export class Jobs {
  readonly #inserted = new Map<string, string>()
  readonly #shown: Array<readonly [id: string, body: string]> = []
  /** The bodies that may be in the server; not every client has waited to hear the id. */
  readonly bodies = new Set<string>()

  insert(id: string, body: string): void {
    assert.ok(!this.#inserted.has(id), "two jobs with one id")
    this.#inserted.set(id, body)
  }

  show(id: string, body: string): void {
    this.#shown.push([id, body])
  }

  /** Whether all that was shown had been put. */
  check(isElsewhere: (id: string) => boolean): void {
    for (const [id, body] of this.#shown) {
      if (isElsewhere(id)) continue
      const put = this.#inserted.get(id)
      assert.ok(put === undefined ? this.bodies.has(body) : put === body, `job ${id} has another body`)
    }
  }
}

const meets = ({ line }: Reply, { allows }: Demand): boolean =>
  allows.some((allowed) => typeof allowed === "string" ? allowed === line : allowed.test(line))

const OUT_OF_MEMORY = "OUT_OF_MEMORY"
const wantsRoom = ({ body, line }: Demand): boolean => body !== undefined || /^(put|use|watch) /.test(line)

/** Holds what one of them has received against what it has sent. How many commands that were, and how many were refused. */
export const check = (client: Hostile, maxJobSize: number, isLimited: boolean, jobs: Jobs) => {
  assert.deepEqual(client.wrongs, [])
  const { demands, quits } = demandsOf(client.sent, maxJobSize)
  const { replies, rest } = repliesIn(client.received)
  assert.ok(replies.length <= demands.length, `answered what nobody has asked: ${replies[demands.length]?.line}`)
  for (const { body } of demands) if (body !== undefined) jobs.bodies.add(body)
  let outOfMemory = 0
  let isTurnedOut = false
  for (const [at, reply] of replies.entries()) {
    const demand = demands[at]!
    assert.ok(!isTurnedOut, "a connection goes on without its tube")
    if (isLimited && reply.line === OUT_OF_MEMORY && wantsRoom(demand)) {
      outOfMemory++
      isTurnedOut = !demand.line.startsWith("put ")
      continue
    }
    assert.ok(meets(reply, demand), `${JSON.stringify(demand.line)} is answered ${JSON.stringify(reply.line)}`)
    const [word, id] = reply.line.split(" ")
    if (word === "INSERTED") jobs.insert(id!, demand.body!)
    else if (word === "RESERVED" || word === "FOUND") jobs.show(id!, reply.body)
  }
  if (client.end === "halfClose" || quits || isTurnedOut) {
    assert.ok(client.isOver, "it is not closed")
    if (client.end === "halfClose") assert.equal(rest, "", "half a reply")
    if (client.end === "halfClose" && !isTurnedOut) {
      assert.equal(replies.length, demands.length, `no answer to ${JSON.stringify(demands[replies.length]?.line)}`)
    }
  }
  return { commands: demands.length, outOfMemory }
}
