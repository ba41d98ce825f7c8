/**
 * All jobs that a server has, read without the library.
 */
import * as Effect from "effect/Effect"
import { parseStats } from "../../support/Ask.ts"
import type { RealServer } from "../../support/RealServer.ts"

export interface Job {
  readonly id: number
  readonly tube: string
  readonly state: string
  readonly body: string
}

const AT_A_TIME = 2_000

/** Cuts the answers to pipelined commands that say either NOT_FOUND or something with a body, `undefined` for the former. */
const cut = (answers: string): Array<string | undefined> => {
  const bodies: Array<string | undefined> = []
  for (let at = 0; at < answers.length;) {
    const line = answers.slice(at, answers.indexOf("\r\n", at))
    at += line.length + 2
    const size = line === "NOT_FOUND" ? undefined : Number(/(\d+)$/.exec(line)![1])
    bodies.push(size === undefined ? undefined : answers.slice(at, at + size))
    if (size !== undefined) at += size + 2
  }
  return bodies
}

const askAll = Effect.fnUntraced(function*({ raw }: RealServer, command: string, ids: ReadonlyArray<number>) {
  const found: Array<{ readonly id: number; readonly text: string }> = []
  for (let at = 0; at < ids.length; at += AT_A_TIME) {
    const some = ids.slice(at, at + AT_A_TIME)
    const texts = cut(yield* raw(some.map((id) => `${command} ${id}`).join("\r\n")))
    texts.forEach((text, i) => text !== undefined && found.push({ id: some[i]!, text }))
  }
  return found
})

/** A server that is killed as it writes to its binlog can bring back the last job with zeros for a body. */
const isTorn = (body: string) => /^\0*$/.test(body)

/** All of its jobs, but for torn ones. */
export const ofServer = Effect.fnUntraced(function*(server: RealServer) {
  const newest = Number(/INSERTED (\d+)/.exec(yield* server.raw("put 0 0 1 0\r\n"))![1])
  const bodies = yield* askAll(server, "peek", Array.from({ length: newest - 1 }, (_, i) => i + 1))
  const whole = bodies.filter(({ text }) => !isTorn(text))
  const stats = yield* askAll(server, "stats-job", whole.map(({ id }) => id))
  const states = new Map(stats.map(({ id, text }) => [id, parseStats(text)]))
  return {
    torn: bodies.length - whole.length,
    jobs: whole.map(({ id, text }): Job => {
      const { state = "gone", tube = "" } = states.get(id) ?? {}
      return { id, tube, state, body: text }
    })
  }
})
