/**
 * What a server has to answer to the bytes of one client, read in another way than the server does: which commands there
 * are, and all that the reply to each of them may be.
 */

/** A command that asks for a reply. */
export interface Demand {
  /** It, without what is too long to be shown. */
  readonly line: string
  /** One of these is the line of the reply. */
  readonly allows: ReadonlyArray<string | RegExp>
  /** The body of a put that is well ended. */
  readonly body?: string | undefined
}

/** All demands in the order in which they must be met. */
export interface Demands {
  readonly demands: ReadonlyArray<Demand>
  /** Then the server closes the connection; what comes behind it is for nobody. */
  readonly quits: boolean
}

const LONGEST_LINE = 222
const UINT32 = 2n ** 32n - 1n
const UINT64 = 2n ** 64n - 1n
const INT64 = 2n ** 63n - 1n

const NAME = "[A-Za-z0-9+/;.$_()][A-Za-z0-9+/;.$_()-]{0,199}"
const COUNT = "(?:0|[1-9]\\d*)"
const DOCUMENT = /^OK \d+$/
const NOT_FOUND = "NOT_FOUND"

/** What of a connection decides its replies. */
interface Session {
  used: string
  readonly watched: Set<string>
}

type Allows = ReadonlyArray<string | RegExp>

interface Row {
  /** The arguments, as the rest of the line must look. */
  readonly takes: RegExp
  /** The largest numbers that they may be. */
  readonly bounds: ReadonlyArray<bigint>
  readonly allows: (found: RegExpExecArray, session: Session) => Allows
}

const idOf = ([, digits]: RegExpExecArray): string => String(BigInt(digits!))

const bare = (...allows: Allows): Row => ({ takes: /^$/, bounds: [], allows: () => allows })
const ofJob = (allows: (id: string) => Allows): Row => ({
  takes: /^ *(\d+)$/,
  bounds: [UINT64],
  allows: (found) => [NOT_FOUND, ...allows(idOf(found))]
})
const ofTube = (allows: (name: string, session: Session) => Allows): Row => ({
  takes: new RegExp(`^(${NAME})$`),
  bounds: [],
  allows: (found, session) => allows(found[1]!, session)
})

const RESERVES = [/^RESERVED \d+ \d+$/, "DEADLINE_SOON"]
const LOOKS = [NOT_FOUND, /^FOUND \d+ \d+$/]

const watching = ({ watched }: Session): string => `WATCHING ${watched.size}`

const rows: Readonly<Record<string, Row>> = {
  "peek ": ofJob((id) => [new RegExp(`^FOUND ${id} \\d+$`)]),
  "peek-ready": bare(...LOOKS),
  "peek-delayed": bare(...LOOKS),
  "peek-buried": bare(...LOOKS),
  "reserve-with-timeout ": {
    // Without digits it is 0, and what is behind them does not matter.
    takes: /^(?:[ \t\n\v\f\r]*[+-]?(\d+)|)/,
    bounds: [INT64],
    allows: () => [...RESERVES, "TIMED_OUT"]
  },
  "reserve-job ": ofJob((id) => [new RegExp(`^RESERVED ${id} \\d+$`)]),
  // It waits until the client half-closes.
  reserve: bare(...RESERVES, "TIMED_OUT"),
  "delete ": ofJob(() => ["DELETED"]),
  "release ": {
    takes: /^ *(\d+) +(\d+) +(\d+)$/,
    bounds: [UINT64, UINT32, UINT32],
    allows: () => ["RELEASED", NOT_FOUND]
  },
  "bury ": { takes: /^ *(\d+) +(\d+)$/, bounds: [UINT64, UINT32], allows: () => ["BURIED", NOT_FOUND] },
  "kick ": {
    takes: /^[ \t\n\v\f\r]*[+-]?(\d+)/,
    bounds: [UINT64],
    allows: () => [new RegExp(`^KICKED ${COUNT}$`)]
  },
  "kick-job ": ofJob(() => ["KICKED"]),
  "touch ": ofJob(() => ["TOUCHED"]),
  "stats-job ": ofJob(() => [DOCUMENT]),
  "stats-tube ": ofTube(() => [DOCUMENT, NOT_FOUND]),
  stats: bare(DOCUMENT),
  "use ": ofTube((name, session) => {
    session.used = name
    return [`USING ${name}`]
  }),
  "watch ": ofTube((name, session) => {
    session.watched.add(name)
    return [watching(session)]
  }),
  "ignore ": ofTube((name, session) => {
    if (session.watched.size === 1 && session.watched.has(name)) return ["NOT_IGNORED"]
    session.watched.delete(name)
    return [watching(session)]
  }),
  "list-tubes-watched": bare(DOCUMENT),
  "list-tube-used": { takes: /^$/, bounds: [], allows: (_, { used }) => [`USING ${used}`] },
  "list-tubes": bare(DOCUMENT),
  "pause-tube": {
    takes: new RegExp(`^ *${NAME} +(\\d+)$`),
    bounds: [UINT32],
    allows: () => ["PAUSED", NOT_FOUND]
  }
}

// The longest name that fits is meant.
const names = Object.keys(rows).sort((a, b) => b.length - a.length)

const BAD_FORMAT: Allows = ["BAD_FORMAT"]

const isWithin = (found: RegExpExecArray, bounds: ReadonlyArray<bigint>): boolean =>
  bounds.every((bound, at) => BigInt(found[at + 1] ?? "0") <= bound)

const allowedFor = (line: string, session: Session): Allows => {
  const name = names.find((name) => line.startsWith(name))
  if (name === undefined) return ["UNKNOWN_COMMAND"]
  const { allows, bounds, takes } = rows[name]!
  const found = takes.exec(line.slice(name.length))
  return found !== null && isWithin(found, bounds) ? allows(found, session) : BAD_FORMAT
}

const PUT = /^put +(\d+) +(\d+) +(\d+) +(\d+)(.*)$/s

/** The demands of a client that has sent these bytes. */
export const demandsOf = (sent: string, maxJobSize: number): Demands => {
  const demands: Array<Demand> = []
  const session: Session = { used: "default", watched: new Set(["default"]) }
  let at = 0
  while (true) {
    const end = sent.indexOf("\r\n", at)
    if (end === -1) return { demands, quits: false }
    const line = sent.slice(at, end)
    at = end + 2
    const demand = (allows: Allows, body?: string) => demands.push({ line: line.slice(0, 100), allows, body })
    if (line.length > LONGEST_LINE || line.includes("\0")) {
      demand(BAD_FORMAT)
      continue
    }
    if (line.startsWith("quit")) return { demands, quits: true }
    if (!line.startsWith("put ")) {
      demand(allowedFor(line, session))
      continue
    }
    const found = PUT.exec(line)
    const size = Number(found?.[4])
    if (found === null || !isWithin(found, [UINT32, UINT32, UINT32, UINT32])) demand(BAD_FORMAT)
    else if (size <= maxJobSize && found[5] !== "") demand(BAD_FORMAT)
    else {
      at += size + 2
      if (at > sent.length) return { demands, quits: false }
      if (size > maxJobSize) demand(["JOB_TOO_BIG"])
      else if (!sent.startsWith("\r\n", at - 2)) demand(["EXPECTED_CRLF"])
      else demand([/^INSERTED [1-9]\d*$/], sent.slice(at - 2 - size, at - 2))
    }
  }
}
