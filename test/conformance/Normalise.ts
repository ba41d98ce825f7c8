/**
 * What may differ between two servers, taken out of their replies: ids count from the first of the session, counters
 * from its beginning, and what tells of the machine and the process is hidden. Lists are sorted.
 *
 * Ages and times left are compared as they are: no second passes while a sequence is played.
 */

const hidden = /^(pid|version|rusage-[us]time|uptime|binlog-.*|id|hostname|os|platform): .*$/
const counter = /^(cmd-.*|total-jobs|total-connections|job-timeouts): (\d+)$/

/** Only `stats` begins with that. */
const isServerStats = (body: string) => body.startsWith("---\ncurrent-jobs-urgent: ")

export interface Baseline {
  /** The job with which ids begin; it is number 0. */
  readonly firstId: bigint
  /** The counters when the session began. */
  readonly counters: ReadonlyMap<string, number>
}

/** What each counter in a reply to `stats` says. */
export const countersOf = (reply: string): ReadonlyMap<string, number> => {
  const counters = new Map<string, number>()
  for (const line of reply.split("\n")) {
    const match = counter.exec(line)
    if (match) counters.set(match[1]!, Number(match[2]))
  }
  return counters
}

const ofServerStats = (body: string, { counters }: Baseline, polls: number): string =>
  body.split("\n").map((line) => {
    const match = counter.exec(line)
    if (!match) return line.replace(hidden, "$1: *")
    const since = Number(match[2]) - (counters.get(match[1]!) ?? 0)
    return `${match[1]}: ${match[1] === "cmd-stats" ? since - polls : since}`
  }).join("\n")

const ofBody = (body: string, baseline: Baseline, polls: number): string => {
  if (isServerStats(body)) return ofServerStats(body, baseline, polls)
  if (body.startsWith("---\nid: ")) {
    return body.replace(/^id: (\d+)$/m, (_, id: string) => `id: {id:${BigInt(id) - baseline.firstId}}`)
  }
  if (/^---\n(- .*\n)*$/.test(body)) return `---\n${body.slice(4).split("\n").sort().join("\n").trimStart()}\n`
  return body
}

/** One whole reply. `polls` is how often this session has asked for `stats` beside what the sequence asks. */
export const normalise = (reply: string, baseline: Baseline, polls: number): string => {
  const lineEnd = reply.indexOf("\r\n")
  const line = reply.slice(0, lineEnd)
  const rest = reply.slice(lineEnd + 2)
  if (/^OK \d+$/.test(line)) {
    if (rest.includes("\nstate: invalid\n")) return "NOT_FOUND\r\n"
    // The length depends on what is hidden. That it is the right one, the end of the body has to show.
    return `OK\r\n${ofBody(rest.slice(0, -2), baseline, polls)}${rest.slice(-2)}`
  }
  const withId = line.replace(
    /^(INSERTED|RESERVED|FOUND) (\d+)/,
    (_, word: string, id: string) => `${word} {id:${BigInt(id) - baseline.firstId}}`
  )
  return `${withId}\r\n${rest}`
}
