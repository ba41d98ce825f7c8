/**
 * The commands: how each reads its arguments, what it does to the store, and what it replies. All of it is as beanstalkd
 * 1.12 has it, also where that is more lenient than its protocol says.
 */
import { forJob, type StoredJob, type StoredTube } from "./entities.ts"
import { ArgumentReader } from "./requestParser.ts"
import type { ServerConnection } from "./serverConnection.ts"
import * as StatsText from "./statsText.ts"

type Execute = (connection: ServerConnection, args: ArgumentReader) => void

// In the order in which they are tried: a line is the first command with whose prefix it begins.
const COMMANDS: ReadonlyArray<readonly [prefix: string, execute: Execute]> = [
  ["put ", put],
  ["peek ", withId("peek", (connection, id) => found(connection, connection.store.jobs.get(id)))],
  ["peek-ready", bare("peek-ready", (connection) => found(connection, connection.used.ready.head))],
  ["peek-delayed", bare("peek-delayed", (connection) => found(connection, connection.used.delayed.head))],
  ["peek-buried", bare("peek-buried", (connection) => found(connection, connection.used.buried.head))],
  ["reserve-with-timeout ", reserveWithTimeout],
  ["reserve-job ", withId(undefined, reserveJob)],
  ["reserve", bare("reserve", (connection) => reserve(connection, Infinity))],
  ["delete ", withId("delete", deleteJob)],
  ["release ", release],
  ["bury ", bury],
  ["kick ", kick],
  ["kick-job ", withId(undefined, kickJob)],
  ["touch ", withId("touch", touch)],
  ["stats-job ", withId("stats-job", statsJob)],
  ["stats-tube ", withTube("stats-tube", statsTube)],
  ["stats", bare("stats", (connection) => ok(connection, StatsText.ofServer(connection.store, connection.engine)))],
  ["use ", withTube("use", use)],
  ["watch ", withTube("watch", watch)],
  ["ignore ", withTube("ignore", ignore)],
  [
    "list-tubes-watched",
    bare("list-tubes-watched", (connection) => listTubes(connection, connection.reserver.watched))
  ],
  ["list-tube-used", bare("list-tube-used", (connection) => connection.reply(`USING ${connection.used.name}`))],
  ["list-tubes", bare("list-tubes", (connection) => listTubes(connection, connection.store.tubes.values()))],
  ["quit", (connection) => connection.end()],
  ["pause-tube", pauseTube]
]

const byFirstLetter = new Map<string, Array<readonly [string, Execute]>>()
for (const command of COMMANDS) {
  const letter = command[0].charAt(0)
  byFirstLetter.set(letter, [...(byFirstLetter.get(letter) ?? []), command])
}

/** Executes a line. */
export const execute = (connection: ServerConnection, line: string): void => {
  if (line.includes("\0")) return badFormat(connection)
  for (const [prefix, run] of byFirstLetter.get(line.charAt(0)) ?? []) {
    if (line.startsWith(prefix)) return run(connection, new ArgumentReader(line, prefix.length))
  }
  connection.reply("UNKNOWN_COMMAND")
}

// ---------------------------------------------------------------------------------------------------------------------
// Putting
// ---------------------------------------------------------------------------------------------------------------------

function put(connection: ServerConnection, args: ArgumentReader): void {
  const { engine, store } = connection
  const pri = args.uint32()
  const delay = args.uint32()
  const ttr = args.uint32()
  const size = args.uint32()
  if (pri === undefined || delay === undefined || ttr === undefined || size === undefined) return badFormat(connection)
  connection.count("put")
  if (size > engine.maxJobSize) return connection.skip(size + 2, "JOB_TOO_BIG")
  if (!args.isAtEnd) return badFormat(connection)
  connection.becomeProducer()
  if (engine.shortage === "jobs" || !store.memory.hasRoomFor(forJob(size))) {
    return connection.skip(size + 2, "OUT_OF_MEMORY")
  }
  connection.expectBody({ id: store.nextId(), tube: connection.used, pri, delay, ttr: Math.max(ttr, 1), size })
}

function use(connection: ServerConnection, name: string): void {
  const { tubes } = connection.store
  const before = connection.used
  const tube = tubes.findOrMake(name)
  if (tube === undefined) return refuseTube(connection)
  connection.used = tubes.use(tube)
  tubes.unuse(before)
  connection.reply(`USING ${name}`)
}

// The commands behind it are meant for that tube, and must not reach another one.
function refuseTube(connection: ServerConnection): void {
  connection.reply("OUT_OF_MEMORY")
  connection.end()
}

// ---------------------------------------------------------------------------------------------------------------------
// Reserving
// ---------------------------------------------------------------------------------------------------------------------

function reserve(connection: ServerConnection, timeoutSeconds: number): void {
  connection.becomeWorker()
  connection.wait(timeoutSeconds)
}

function reserveWithTimeout(connection: ServerConnection, args: ArgumentReader): void {
  const seconds = args.timeout()
  if (seconds === undefined) return badFormat(connection)
  connection.count("reserve-with-timeout")
  reserve(connection, seconds < 0 ? Infinity : seconds)
}

function reserveJob(connection: ServerConnection, id: number): void {
  const { reserver, store } = connection
  const job = store.jobs.get(id)
  // A delayed or buried job is recorded, as it is ready after a restart.
  if (job !== undefined && job.state !== "ready" && hasNoRoom(connection)) return
  if (!store.reserveJob(job, reserver)) return connection.reply("NOT_FOUND")
  connection.becomeWorker()
  connection.replyWithBody(`RESERVED ${id}`, job.body)
}

function watch(connection: ServerConnection, name: string): void {
  if (connection.store.tubes.watch(connection.reserver, name)) watching(connection)
  else refuseTube(connection)
}

function ignore(connection: ServerConnection, name: string): void {
  const { reserver, store: { tubes } } = connection
  const tube = tubes.get(name)
  if (tube !== undefined && reserver.watched.has(tube)) {
    if (reserver.watched.size === 1) return connection.reply("NOT_IGNORED")
    tubes.ignore(reserver, tube)
  }
  watching(connection)
}

function watching(connection: ServerConnection): void {
  connection.reply(`WATCHING ${connection.reserver.watched.size}`)
}

// ---------------------------------------------------------------------------------------------------------------------
// Settling, and what else happens to jobs
// ---------------------------------------------------------------------------------------------------------------------

function deleteJob(connection: ServerConnection, id: number): void {
  connection.reply(connection.store.delete(id, connection.reserver) ? "DELETED" : "NOT_FOUND")
}

function release(connection: ServerConnection, args: ArgumentReader): void {
  const { engine, reserver, store } = connection
  const id = args.uint64()
  const pri = args.uint32()
  const delay = args.lastUint32()
  if (id === undefined || pri === undefined || delay === undefined) return badFormat(connection)
  connection.count("release")
  const job = store.jobs.get(id)
  if (!store.isHeldBy(job, reserver)) return connection.reply("NOT_FOUND")
  if (hasNoRoom(connection)) return
  if (engine.shortage === "queues") {
    store.bury(job, pri)
    return connection.reply("BURIED")
  }
  store.release(job, pri, delay)
  connection.reply("RELEASED")
}

function bury(connection: ServerConnection, args: ArgumentReader): void {
  const { reserver, store } = connection
  const id = args.uint64()
  const pri = args.lastUint32()
  if (id === undefined || pri === undefined) return badFormat(connection)
  connection.count("bury")
  const job = store.jobs.get(id)
  if (!store.isHeldBy(job, reserver)) return connection.reply("NOT_FOUND")
  if (hasNoRoom(connection)) return
  store.bury(job, pri)
  connection.reply("BURIED")
}

// The job stays as it is, so that its holder can try again, or delete it.
function hasNoRoom(connection: ServerConnection): boolean {
  if (connection.store.journal?.hasRoomForChange() !== false) return false
  connection.reply("OUT_OF_MEMORY")
  return true
}

function touch(connection: ServerConnection, id: number): void {
  const { reserver, store } = connection
  const job = store.jobs.get(id)
  if (!store.isHeldBy(job, reserver)) return connection.reply("NOT_FOUND")
  store.touch(job)
  connection.reply("TOUCHED")
}

function kick(connection: ServerConnection, args: ArgumentReader): void {
  const bound = args.bound()
  if (bound === undefined) return badFormat(connection)
  connection.count("kick")
  if (hasNoRoom(connection)) return
  connection.reply(`KICKED ${connection.store.kick(connection.used, bound)}`)
}

function kickJob(connection: ServerConnection, id: number): void {
  const { store } = connection
  const job = store.jobs.get(id)
  if (job !== undefined && hasNoRoom(connection)) return
  connection.reply(store.kickJob(job) ? "KICKED" : "NOT_FOUND")
}

function pauseTube(connection: ServerConnection, args: ArgumentReader): void {
  const { store } = connection
  const name = args.tubeCharacters()
  const delay = args.lastUint32()
  if (name === undefined || delay === undefined) return badFormat(connection)
  connection.count("pause-tube")
  if (new ArgumentReader(name, 0).tubeName() === undefined) return badFormat(connection)
  const tube = store.tubes.get(name)
  if (tube === undefined) return connection.reply("NOT_FOUND")
  store.pause(tube, delay)
  connection.reply("PAUSED")
}

// ---------------------------------------------------------------------------------------------------------------------
// Looking
// ---------------------------------------------------------------------------------------------------------------------

function found(connection: ServerConnection, job: StoredJob | undefined): void {
  if (job === undefined) connection.reply("NOT_FOUND")
  else connection.replyWithBody(`FOUND ${job.id}`, job.body)
}

function statsJob(connection: ServerConnection, id: number): void {
  const { store } = connection
  const job = store.jobs.get(id)
  if (job === undefined) connection.reply("NOT_FOUND")
  else ok(connection, StatsText.ofJob(store, job))
}

function statsTube(connection: ServerConnection, name: string): void {
  const { store } = connection
  const tube = store.tubes.get(name)
  if (tube === undefined) connection.reply("NOT_FOUND")
  else ok(connection, StatsText.ofTube(store, tube))
}

function listTubes(connection: ServerConnection, tubes: Iterable<StoredTube>): void {
  ok(connection, StatsText.list(tubes))
}

function ok(connection: ServerConnection, text: string): void {
  connection.replyWithBody("OK", text)
}

// ---------------------------------------------------------------------------------------------------------------------
// The shapes of commands
// ---------------------------------------------------------------------------------------------------------------------

function badFormat(connection: ServerConnection): void {
  connection.reply("BAD_FORMAT")
}

function bare(command: StatsText.Counted, run: (connection: ServerConnection) => void): Execute {
  return (connection, args) => {
    if (!args.isAtEnd) return badFormat(connection)
    connection.count(command)
    run(connection)
  }
}

// beanstalkd does not count reserve-job and kick-job.
function withId(
  command: StatsText.Counted | undefined,
  run: (connection: ServerConnection, id: number) => void
): Execute {
  return (connection, args) => {
    const id = args.lastUint64()
    if (id === undefined) return badFormat(connection)
    if (command !== undefined) connection.count(command)
    run(connection, id)
  }
}

function withTube(command: StatsText.Counted, run: (connection: ServerConnection, name: string) => void): Execute {
  return (connection, args) => {
    const name = args.tubeName()
    if (name === undefined) return badFormat(connection)
    connection.count(command)
    run(connection, name)
  }
}
