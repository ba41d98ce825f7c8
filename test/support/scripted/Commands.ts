/**
 * The 25 commands as a server sees them, spelled out by hand: how to issue each, the bytes that it sends, a reply that
 * it takes, and the words with which its replies may begin.
 */
import type { Connection, Protocol } from "effect-beanstalkd"
import { JobId } from "effect-beanstalkd/Protocol"
import type * as Effect from "effect/Effect"

export interface Row {
  readonly issue: (connection: Connection.Service) => Effect.Effect<unknown, unknown>
  readonly sends: string
  readonly reply: string
  readonly words: ReadonlyArray<string>
}

export const id = (n: number): JobId => JobId.make(n)

const none: ReadonlyArray<string> = []

/** A reply with a body, its length counted. */
export const withBody = (head: string, body: string): string => `${head} ${body.length}\r\n${body}\r\n`

export const list = withBody("OK", "---\n- default\n")
export const jobStats = (pri: number, id = 7): string =>
  withBody("OK", `---\nid: ${id}\ntube: default\nstate: reserved\npri: ${pri}\n`)

export const rows = {
  put: {
    issue: (connection) => connection.put("hello", { priority: 1024, ttr: "60 seconds" }),
    sends: "put 1024 0 60 5\r\nhello\r\n",
    reply: "INSERTED 7\r\n",
    words: ["INSERTED", "BURIED", "JOB_TOO_BIG", "DRAINING", "OUT_OF_MEMORY"]
  },
  use: { issue: (_) => _.use("foo"), sends: "use foo\r\n", reply: "USING foo\r\n", words: ["USING"] },
  reserve: {
    issue: (connection) => connection.reserve,
    sends: "reserve\r\n",
    reply: withBody("RESERVED 7", "hello"),
    words: ["RESERVED", "DEADLINE_SOON"]
  },
  reserveWithTimeout: {
    issue: (connection) => connection.reserveWithTimeout(0),
    sends: "reserve-with-timeout 0\r\n",
    reply: withBody("RESERVED 7", "hello"),
    words: ["RESERVED", "DEADLINE_SOON", "TIMED_OUT"]
  },
  reserveJob: {
    issue: (connection) => connection.reserveJob(id(7)),
    sends: "reserve-job 7\r\n",
    reply: withBody("RESERVED 7", "hello"),
    words: ["RESERVED", "NOT_FOUND"]
  },
  delete: {
    issue: (connection) => connection.delete(id(7)),
    sends: "delete 7\r\n",
    reply: "DELETED\r\n",
    words: ["DELETED", "NOT_FOUND"]
  },
  release: {
    issue: (connection) => connection.release(id(7), { priority: 5, delay: "3 seconds" }),
    sends: "release 7 5 3\r\n",
    reply: "RELEASED\r\n",
    words: ["RELEASED", "BURIED", "NOT_FOUND"]
  },
  bury: {
    issue: (connection) => connection.bury(id(7), { priority: 5 }),
    sends: "bury 7 5\r\n",
    reply: "BURIED\r\n",
    words: ["BURIED", "NOT_FOUND"]
  },
  touch: {
    issue: (connection) => connection.touch(id(7)),
    sends: "touch 7\r\n",
    reply: "TOUCHED\r\n",
    words: ["TOUCHED", "NOT_FOUND"]
  },
  watch: { issue: (_) => _.watch("foo"), sends: "watch foo\r\n", reply: "WATCHING 2\r\n", words: ["WATCHING"] },
  ignore: {
    issue: (connection) => connection.ignore("foo"),
    sends: "ignore foo\r\n",
    reply: "WATCHING 1\r\n",
    words: ["WATCHING", "NOT_IGNORED"]
  },
  peek: {
    issue: (connection) => connection.peek(id(7)),
    sends: "peek 7\r\n",
    reply: withBody("FOUND 7", "hello"),
    words: ["FOUND", "NOT_FOUND"]
  },
  peekReady: {
    issue: (connection) => connection.peekReady,
    sends: "peek-ready\r\n",
    reply: withBody("FOUND 7", "hello"),
    words: ["FOUND", "NOT_FOUND"]
  },
  peekDelayed: {
    issue: (connection) => connection.peekDelayed,
    sends: "peek-delayed\r\n",
    reply: withBody("FOUND 7", "hello"),
    words: ["FOUND", "NOT_FOUND"]
  },
  peekBuried: {
    issue: (connection) => connection.peekBuried,
    sends: "peek-buried\r\n",
    reply: withBody("FOUND 7", "hello"),
    words: ["FOUND", "NOT_FOUND"]
  },
  kick: { issue: (_) => _.kick(10), sends: "kick 10\r\n", reply: "KICKED 3\r\n", words: ["KICKED"] },
  kickJob: {
    issue: (connection) => connection.kickJob(id(7)),
    sends: "kick-job 7\r\n",
    reply: "KICKED\r\n",
    words: ["KICKED", "NOT_FOUND"]
  },
  statsJob: {
    issue: (connection) => connection.statsJob(id(7)),
    sends: "stats-job 7\r\n",
    reply: jobStats(5),
    words: ["OK", "NOT_FOUND"]
  },
  statsTube: {
    issue: (connection) => connection.statsTube("foo"),
    sends: "stats-tube foo\r\n",
    reply: withBody("OK", "---\nname: foo\n"),
    words: ["OK", "NOT_FOUND"]
  },
  stats: {
    issue: (connection) => connection.stats,
    sends: "stats\r\n",
    reply: withBody("OK", "---\nversion: \"1.12\"\n"),
    words: ["OK"]
  },
  listTubes: { issue: (_) => _.listTubes, sends: "list-tubes\r\n", reply: list, words: ["OK"] },
  listTubeUsed: {
    issue: (connection) => connection.listTubeUsed,
    sends: "list-tube-used\r\n",
    reply: "USING default\r\n",
    words: ["USING"]
  },
  listTubesWatched: { issue: (_) => _.listTubesWatched, sends: "list-tubes-watched\r\n", reply: list, words: ["OK"] },
  pauseTube: {
    issue: (connection) => connection.pauseTube("foo", "9 seconds"),
    sends: "pause-tube foo 9\r\n",
    reply: "PAUSED\r\n",
    words: ["PAUSED", "NOT_FOUND"]
  },
  quit: { issue: (connection) => connection.quit, sends: "quit\r\n", reply: "", words: none }
} as const satisfies Record<Protocol.CommandName, Row>

/** The table as a list, to run the same test for each. */
export const table: ReadonlyArray<Row & { readonly name: string }> = Object.entries(rows).map(([name, row]) => ({
  name,
  ...row
}))
