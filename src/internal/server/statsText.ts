/**
 * Statistics and lists of the embedded server as text, with the names, the order and the quoting of beanstalkd 1.12.
 */
import type { StoredJob, StoredTube } from "./entities.ts"
import type { BinlogFacts } from "./journal.ts"
import type { Store } from "./store.ts"

/** The commands that have a counter, in the order in which `stats` lists them. */
export const COUNTED = [
  "put",
  "peek",
  "peek-ready",
  "peek-delayed",
  "peek-buried",
  "reserve",
  "reserve-with-timeout",
  "delete",
  "release",
  "use",
  "watch",
  "ignore",
  "bury",
  "kick",
  "touch",
  "stats",
  "stats-job",
  "stats-tube",
  "list-tubes",
  "list-tube-used",
  "list-tubes-watched",
  "pause-tube"
] as const

/** A command that has a counter. */
export type Counted = typeof COUNTED[number]

/** The machine and the process that a server runs in. `cpuMicros` is the CPU time that the process has used. */
export interface HostFacts {
  readonly pid: number
  readonly version: string
  /** 16 hexadecimal digits, at random for each server. */
  readonly id: string
  readonly hostname: string
  readonly os: string
  readonly platform: string
  readonly cpuMicros: () => { readonly user: number; readonly system: number }
}

/** The facts that an engine knows, and its store does not. */
export interface ServerFacts {
  readonly host: HostFacts
  readonly counts: Readonly<Record<Counted, number>>
  readonly maxJobSize: number
  readonly connectionCount: number
  readonly producers: number
  readonly workers: number
  readonly totalConnections: number
  readonly startedAt: number
  readonly isDraining: boolean
  readonly binlog: BinlogFacts
}

/** The size of the files of a binlog unless a server is told, in bytes. */
export const DEFAULT_FILE_SIZE = 10_485_760

/** What a server says that has no binlog. */
export const NO_BINLOG: BinlogFacts = { oldest: 0, current: 0, migrated: 0, written: 0, maxSize: DEFAULT_FILE_SIZE }

type Entry = readonly [key: string, value: string | number]

const dictionary = (entries: ReadonlyArray<Entry>): string =>
  `---\n${entries.map(([key, value]) => `${key}: ${value}\n`).join("")}`

/** A list of names. */
export const list = (tubes: Iterable<StoredTube>): string =>
  `---\n${Array.from(tubes, ({ name }) => `- ${name}\n`).join("")}`

const wholeSeconds = (millis: number): number => Math.trunc(millis / 1000)

// beanstalkd cuts the microseconds, and a moment has always passed since the command: a full second is never left.
const secondsLeft = (millis: number): number => Math.max(0, Math.ceil(Math.round(millis * 1000) / 1e6) - 1)

const cpuSeconds = (micros: number): string =>
  `${Math.floor(micros / 1e6)}.${String(Math.floor(micros % 1e6)).padStart(6, "0")}`

/** The reply to `stats`. */
export const ofServer = (store: Store, facts: ServerFacts): string => {
  const { binlog, host } = facts
  const cpu = host.cpuMicros()
  return dictionary([
    ["current-jobs-urgent", store.urgent],
    ["current-jobs-ready", store.ready],
    ["current-jobs-reserved", store.reserved],
    ["current-jobs-delayed", store.delayed],
    ["current-jobs-buried", store.buried],
    ...COUNTED.map((command): Entry => [`cmd-${command}`, facts.counts[command]]),
    ["job-timeouts", store.timeouts],
    ["total-jobs", store.totalJobs],
    ["max-job-size", facts.maxJobSize],
    ["current-tubes", store.tubes.size],
    ["current-connections", facts.connectionCount],
    ["current-producers", facts.producers],
    ["current-workers", facts.workers],
    ["current-waiting", store.waiting],
    ["total-connections", facts.totalConnections],
    ["pid", host.pid],
    ["version", `"${host.version}"`],
    ["rusage-utime", cpuSeconds(cpu.user)],
    ["rusage-stime", cpuSeconds(cpu.system)],
    ["uptime", wholeSeconds(store.now - facts.startedAt)],
    ["binlog-oldest-index", binlog.oldest],
    ["binlog-current-index", binlog.current],
    ["binlog-records-migrated", binlog.migrated],
    ["binlog-records-written", binlog.written],
    ["binlog-max-size", binlog.maxSize],
    ["draining", String(facts.isDraining)],
    ["id", host.id],
    ["hostname", host.hostname],
    ["os", host.os],
    ["platform", host.platform]
  ])
}

/** The reply to `stats-tube`. */
export const ofTube = (store: Store, tube: StoredTube): string =>
  dictionary([
    ["name", tube.name],
    ["current-jobs-urgent", tube.urgent],
    ["current-jobs-ready", tube.ready.size],
    ["current-jobs-reserved", tube.reserved],
    ["current-jobs-delayed", tube.delayed.size],
    ["current-jobs-buried", tube.buried.size],
    ["total-jobs", tube.totalJobs],
    ["current-using", tube.using],
    ["current-watching", tube.watching],
    ["current-waiting", tube.waiters.size],
    ["cmd-delete", tube.deletes],
    ["cmd-pause-tube", tube.pauses],
    ["pause", tube.pause],
    ["pause-time-left", tube.isPaused ? secondsLeft(tube.resumes.at - store.now) : 0]
  ])

/** The reply to `stats-job`. */
export const ofJob = (store: Store, job: StoredJob): string =>
  dictionary([
    ["id", job.id],
    ["tube", job.tube.name],
    ["state", job.state],
    ["pri", job.pri],
    ["age", wholeSeconds(Math.max(0, store.now - job.createdAt))],
    ["delay", job.delay],
    ["ttr", job.ttr],
    ["time-left", job.state === "reserved" || job.state === "delayed" ? secondsLeft(job.deadline - store.now) : 0],
    ["file", job.entry?.fileNumber ?? 0],
    ["reserves", job.reserves],
    ["timeouts", job.timeouts],
    ["releases", job.releases],
    ["buries", job.buries],
    ["kicks", job.kicks]
  ])
