/**
 * Deliberate bugs in our own code, which prove that the simulation notices bugs. Each replaces a piece of one module's
 * source while the module is loaded, and fails loudly if that piece is no longer there.
 */

/** A deliberate bug. */
export interface Breakage {
  readonly name: string
  readonly module: string
  readonly from: string
  readonly to: string
  /** The world that finds it, if it is not that of one server. */
  readonly world?: "fleet" | "binlog"
}

/** All breakages. */
export const breakages: ReadonlyArray<Breakage> = [
  {
    name: "a put is acknowledged when it is sent",
    module: "internal/connection/pipeline",
    from: `    batch.push(pending.request)`,
    to: `    batch.push(pending.request)
    if (pending.command.name === "put") {
      const resume = pending.resume
      pending.resume = undefined
      resume?.(Exit.succeed({ server: this.server, id: 1 }))
    }`
  },
  {
    name: "a put is acknowledged although the server drains",
    module: "internal/server/serverConnection",
    from: `this.reply("DRAINING")`,
    to: "this.reply(`INSERTED ${put.id}`)"
  },
  {
    name: "a handler that the shutdown interrupts has failed",
    module: "internal/worker/policy",
    from: `return wasStopped ? STOPPED : { _tag: "Interrupted", cause }`,
    to: `return { _tag: "Interrupted", cause }`
  },
  {
    name: "a handler that something else interrupts is released at once",
    module: "internal/worker/policy",
    from: `return wasStopped ? STOPPED : { _tag: "Interrupted", cause }`,
    to: `return STOPPED`
  },
  {
    name: "a command that was sent is sent again on the next connection",
    module: "internal/pool/reconnectingConnection",
    from: `error instanceof Errors.BeanstalkdError && !error.sent && error.reason._tag === "ConnectionClosed"`,
    to: `error instanceof Errors.BeanstalkdError`
  },
  {
    name: "an error says that nothing was sent",
    module: "internal/connection/pipeline",
    from: `this.#failure(command, state === "sent", reason)`,
    to: `this.#failure(command, false, reason)`
  },
  {
    name: "a release resets the priority",
    module: "internal/job/lease",
    from: `const priority = checked.priority ?? this.#known?.pri`,
    to: `const priority = checked.priority ?? 2 ** 31`
  },
  {
    name: "reserves that are on their way are not counted",
    module: "internal/consumer/fetchCounts",
    from: `return this.asked + this.unsettled`,
    to: `return this.unsettled`
  },
  {
    name: "a settled job makes room twice",
    module: "internal/consumer/fetchConnection",
    from: `    if (this.held.get(job.id) !== job) return false
    this.held.delete(job.id)`,
    to: `    this.held.delete(job.id)`
  },
  {
    name: "leases survive their connection",
    module: "internal/consumer/fetchConnection",
    from: `for (const job of this.held.values()) job.lose("connection")`,
    to: ``
  },
  {
    name: "an older handle outlives the next lease of its job",
    module: "internal/consumer/fetchConnection",
    from: `if (id !== undefined) this.held.get(id)?.lose("expired")`,
    to: ``
  },
  {
    name: "use comes behind what needs it",
    module: "internal/connection/pipeline",
    from: `      this.#useTubeOf(pending, batch)
      if (this.#sent.size >= maxUnanswered) break
      this.#sent.takeOver(pending, this.#queued)
      this.#send(pending, batch)`,
    to: `      this.#sent.takeOver(pending, this.#queued)
      this.#send(pending, batch)
      this.#useTubeOf(pending, batch)`
  },
  {
    name: "a reply goes to the command that was sent last",
    module: "internal/connection/pipeline",
    from: `    const pending = this.#sent.shift()
    if (pending === undefined ||`,
    to: `    const pending = this.#sent.tail
    if (pending !== undefined) this.#sent.remove(pending)
    if (pending === undefined ||`
  },
  {
    name: "a job that is put again has lost its envelope",
    module: "internal/envelope/rewriting",
    from: `if (line.head !== undefined) return`,
    to: `if (line.head !== undefined) return line.payload ??`
  },
  {
    name: "a job that is put again has another id",
    module: "internal/envelope/rewriting",
    from: `return this.#line(line.head, change, line.payload)`,
    to: `return this.#line({ ...line.head, id: messageId(now) }, change, line.payload)`
  },
  {
    name: "a job that is too large stays with its connection",
    module: "internal/consumer/fetcher",
    from: `this.#fork(this.#isStopped ? job.end : buryOversized(job, error, this.#settings.tubes))`,
    to: ``
  },
  {
    name: "a job that is too large is deleted",
    module: "internal/consumer/oversizedJob",
    from: `return buryAnyhow(job).pipe(`,
    to: `return job.delete.pipe(`
  },
  {
    name: "a job that is too large ends its connection",
    module: "internal/protocol/replyReader",
    from: `word !== "OK" && size <= LARGEST_JOB`,
    to: `size < 0`
  },
  {
    name: "the log of the contact floods",
    module: "internal/pool/throttle",
    from: `if (kind.passed.length >= this.#most)`,
    to: `if (kind.passed.length < 0)`
  },
  {
    name: "a reserve that is refused is repeated without a pause",
    module: "internal/consumer/fetchConnection",
    from: `this.hasAnswered = !this.isRefused`,
    to: `this.hasAnswered = true`
  },
  {
    name: "nobody notices silence",
    module: "internal/connection/silenceTimer",
    from: `if (deadline === Infinity ||`,
    to: `if (deadline > 0 ||`
  },
  {
    name: "a job is given to all who wait",
    module: "internal/server/store",
    from: `      this.stopWaiting(reserver)
      this.#reserve(best, reserver)`,
    to: `      this.stopWaiting(reserver)
      if (best.tube.waiters.head === undefined) this.#reserve(best, reserver)`
  },
  {
    name: "the server forgets to put a job in its place by priority",
    module: "internal/server/entities",
    from: `a.pri < b.pri || (a.pri === b.pri && a.id < b.id)`,
    to: `a.id < b.id`
  },
  {
    name: "delays are over too soon",
    module: "internal/server/store",
    from: `job.deadline = this.now + job.delay * SECOND`,
    to: `job.deadline = this.now + job.delay * SECOND * 0.9`
  },
  {
    name: "a touch does not give more time",
    module: "internal/server/store",
    from: `job.deadline = this.now + job.ttr * SECOND
    holder`,
    to: `holder`
  },
  {
    name: "jobs of a connection that is gone are lost",
    module: "internal/server/store",
    from: `      this.#takeOut(job)
      this.#enqueue(job, "ready")
    }
    for (const tube of reserver.watched)`,
    to: `      this.#takeOut(job)
    }
    for (const tube of reserver.watched)`
  },
  {
    name: "the delay of a retry is forgotten",
    module: "internal/worker/settler",
    from: `      yield* this.#release(job, delay)
      recorderOf`,
    to: `      yield* this.#release(job, Duration.zero)
      recorderOf`
  },
  {
    name: "attempts are counted from two",
    module: "internal/worker/judge",
    from: `delayAfter(retrySchedule, attempt, error)`,
    to: `delayAfter(retrySchedule, attempt + 1, error)`
  },
  {
    name: "one attempt too many",
    module: "internal/worker/policy",
    from: `if (reserves >= attempts) return`,
    to: `if (reserves > attempts) return`
  },
  {
    name: "the crash guard lets everything through",
    module: "internal/worker/policy",
    from: `if (crashes >= maxCrashes + kicks) {`,
    to: `if (crashes < 0) {`
  },
  {
    name: "a job that was released has crashed",
    module: "internal/worker/policy",
    from: `Math.max(0, reserves - 1 - releases - timeouts - buries)`,
    to: `Math.max(0, reserves - 1 - timeouts - buries)`
  },
  {
    name: "a job whose time ran out has crashed",
    module: "internal/worker/policy",
    from: `Math.max(0, reserves - 1 - releases - timeouts - buries)`,
    to: `Math.max(0, reserves - 1 - releases - buries)`
  },
  {
    name: "a kick gives a deadly job no further run",
    module: "internal/worker/policy",
    from: `if (crashes >= maxCrashes + kicks) {`,
    to: `if (crashes >= maxCrashes) {`
  },
  {
    name: "a suspect does not wait until it is alone",
    module: "internal/worker/isolation",
    from: `|| this.#isRunning || this.#hasOthers) return`,
    to: `|| this.#isRunning) return`
  },
  {
    name: "jobs are taken while a suspect runs",
    module: "internal/worker/isolation",
    from: `return this.#suspect !== undefined
`,
    to: `return false
`
  },
  {
    name: "a job whose time ran out is no suspect",
    module: "internal/worker/policy",
    from: `crashes + timeouts === 0`,
    to: `crashes === 0`
  },
  {
    name: "a suspect that is refused comes again at once",
    module: "internal/worker/lifecycle",
    from: `this.#isStopping ? Policy.RELEASE : { _tag: "Release", delay }`,
    to: `Policy.RELEASE`
  },
  {
    name: "a defect is buried although it is to be retried",
    module: "internal/worker/policy",
    from: `return settings.onDefect === "bury"`,
    to: `return settings.onDefect !== "never"`
  },
  {
    name: "a defect is retried although it is to be buried",
    module: "internal/worker/policy",
    from: `return settings.onDefect === "bury"`,
    to: `return settings.onDefect === "never"`
  },
  {
    name: "a body that does not decode is given up although it is to be retried",
    module: "internal/worker/policy",
    from: `return settings.retriesUndecodable`,
    to: `return settings === undefined`
  },
  {
    name: "a snooze uses an attempt",
    module: "internal/worker/settler",
    from: `const copied = yield* Effect.exit(this.#copyTo(tube, job, delay, dueAfter(delay)))`,
    to: `const copied = yield* Effect.exit(Effect.fail(tube))`
  },
  {
    name: "a snoozed job is not put again",
    module: "internal/worker/settler",
    from: `const copied = yield* Effect.exit(this.#copyTo(tube, job, delay, dueAfter(delay)))`,
    to: `const copied = Exit.succeed(tube)`
  },
  {
    name: "a snoozed job is deleted before it is put again",
    module: "internal/worker/settler",
    from: `const copied = yield* Effect.exit(this.#copyTo(tube, job, delay, dueAfter(delay)))`,
    to: `yield* job.delete
      const copied = yield* Effect.exit(this.#copyTo(tube, job, delay, dueAfter(delay)))`
  },
  {
    name: "a snoozed job loses its ttr",
    module: "internal/worker/settler",
    from: `const options = { priority: pri, delay, ttr: Duration.seconds(ttr) }`,
    to: `const options = { priority: pri, delay }`
  },
  {
    name: "an error that says when to come again is one like any other",
    module: "internal/worker/policy",
    from: `if (retryAfter?._tag === "Returned" && Option.isSome(retryAfter.value)) {`,
    to: `if (retryAfter?._tag === "Died" && Option.isSome(Option.some(retryAfter))) {`
  },
  {
    name: "a discarded job is given up",
    module: "internal/worker/policy",
    from: `return { _tag: "Drop", outcome: "discarded", reason: ending.reason }`,
    to: `return { _tag: "GiveUp", cause: Cause.empty }`
  },
  {
    name: "a job that is done runs again",
    module: "internal/worker/lifecycle",
    from: `if (verdict !== undefined) return this.#finish(job, verdict, askedAt)`,
    to: ``
  },
  {
    name: "a job that could not be deleted is forgotten",
    module: "internal/worker/settler",
    from: `if (Exit.isFailure(answer)) finishedJobs.add(job, startedAt, { _tag: "Delete" })`,
    to: ``
  },
  {
    name: "another job with the id of one that is done is deleted",
    module: "internal/worker/finishedJobs",
    from: `    const isSame = finished !== undefined && reserves > finished.reserves &&
      age >= Math.floor((askedAt - finished.since) / 1000) && finished.body === hashOf(job)`,
    to: `    const isSame = finished !== undefined`
  },
  {
    name: "the end of a stream or a worker closes its connections with jobs in hand",
    module: "internal/consumer/fetcher",
    from: `return Effect.asVoid(Effect.timeoutOption(fetcher.givenBack, LAST_ANSWERS))`,
    to: `return Effect.void`
  },
  {
    name: "a job is touched only when half of its ttr is over",
    module: "internal/consumer/leaseKeeper",
    from: `Math.min(Math.max(SHORTEST_TTR_SECONDS, ttr) * 500, this.#touchIntervalMillis)`,
    to: `Math.max(SHORTEST_TTR_SECONDS, ttr) * 500`
  },
  {
    name: "a job is deleted although it was not moved",
    module: "internal/worker/settler",
    from: `      if (Exit.isFailure(moved)) {`,
    to: `      if (Exit.isFailure(moved)) {
        return yield* job.delete`
  },
  {
    name: "a lost job does not interrupt its handler",
    module: "internal/worker/inFlight",
    from: `if (job.isLost) running.fiber?.interruptUnsafe()`,
    to: ``
  },
  {
    name: "jobs are not kept from running out of time",
    module: "internal/consumer/leaseKeeper",
    from: `yield* Effect.catchTag(job.touch, "BeanstalkdError", () => Effect.void)`,
    to: ``
  },
  {
    name: "the end of its Scope does not settle a job that was taken",
    module: "internal/consumer/take",
    from: `return Effect.ensuring(end(job, exit, onFailure), Effect.sync(forgetDeath))`,
    to: `return Effect.sync(forgetDeath)`
  },
  {
    name: "an interruption counts as a failure of who has taken a job",
    module: "internal/consumer/take",
    from: `return Cause.hasInterruptsOnly(exit.cause) ? job.release() : onFailure(job)`,
    to: `return onFailure(job)`
  },
  {
    name: "the lease of a job that was taken is not kept",
    module: "internal/consumer/take",
    from: `  leases.add(job)`,
    to: ``
  },
  {
    name: "nobody is told that the lease of a job is lost",
    module: "internal/job/reservedJob",
    from: `if (this.isLost) hear()`,
    to: ``
  },
  {
    name: "a Scope that is closed leaves the pool open",
    module: "internal/pool/exclusivePool",
    from: `Effect.asVoid(Effect.forkDetach(Scope.close(this.#scope, Exit.void), { startImmediately: true }))`,
    to: `Effect.void`
  },
  {
    name: "a permit is granted to a borrower that waits no longer",
    module: "internal/pool/fairSemaphore",
    from: `else this.#waiting.delete(permit)`,
    to: ``
  },
  {
    name: "a connection of the pool keeps the tubes of its last borrower",
    module: "internal/connection/housekeeping",
    from: `for (const tube of watched) if (!tubes.has(tube)) ask(commands.ignore, tube)`,
    to: ``
  },
  {
    name: "a put that a server may have is put on the next one",
    world: "fleet",
    module: "internal/fleet/put",
    from: `return error.isRetryable || error.reason._tag === "UnexpectedReply" ? "perhaps done" : "final"`,
    to: `return error.isRetryable || error.reason._tag === "UnexpectedReply" ? "not done" : "final"`
  },
  {
    name: "a server is up as soon as it is connected",
    world: "fleet",
    module: "internal/fleet/member",
    from: `return this.#hasAnswered && !this.#isSilent`,
    to: `return !this.#isSilent`
  },
  {
    name: "a settled job's room stays with its server beyond the exact share",
    world: "fleet",
    module: "internal/fleet/fleetIntake",
    from: `source.fetcher.taken <= this.#share &&`,
    to: `source.fetcher.taken <= Math.ceil(this.#share) &&`
  },
  {
    name: "replies go before the disk has what they tell of",
    world: "binlog",
    module: "internal/binlog/groupCommit",
    from: `return this.#writeDurably(bytes, pieces, release)`,
    to: `{
      release()
      return this.#writeDurably(bytes, pieces, () => {})
    }`
  },
  {
    name: "a file goes before the disk has elsewhere what it had",
    world: "binlog",
    module: "internal/binlog/binlog",
    from: `    const unused = this.#compaction.unused
    const { now, observer } = this.#options
    const startedAt = now()
    return () => {`,
    to: `    this.#compaction.remove(this.#compaction.unused)
    const unused = 0
    const { now, observer } = this.#options
    const startedAt = now()
    return () => {`
  },
  {
    name: "a file goes before the directory has the one that took its jobs",
    world: "binlog",
    module: "internal/binlog/sync",
    from: `    (done) => disk.syncDirectory(done),`,
    to: ``
  },
  {
    name: "ids begin where they did when the server was started",
    world: "binlog",
    module: "internal/binlog/binlog",
    from: `if (job.id >= this.#nextId) this.#nextId = job.id + 1`,
    to: ``
  },
  {
    name: "a release without a delay is not recorded",
    world: "binlog",
    module: "internal/binlog/binlog",
    from: `if (job.state === "ready" && changes === entry.changes) return`,
    to: `if (job.state === "ready") return`
  },
  {
    name: "a reserve of a buried job is not recorded",
    world: "binlog",
    module: "internal/binlog/binlog",
    from: `if (job.state === "ready" && changes === entry.changes) return`,
    to: `if (job.state === "reserved" || (job.state === "ready" && changes === entry.changes)) return`
  },
  {
    name: "a buried job that is written again loses its place",
    world: "binlog",
    module: "internal/binlog/entryTimes",
    from: `deadlineAt: job.state === "buried" ? buriedAt : 0`,
    to: `deadlineAt: 0`
  },
  {
    name: "what a power failure tore is taken for damage",
    world: "binlog",
    module: "internal/binlog/fileScan",
    from: `if (epochsBetween(epoch, endedOf(stamp)) > 0) return false`,
    to: `return false`
  },
  {
    name: "a record is believed without its checksum",
    world: "binlog",
    module: "internal/binlog/recordReader",
    from: `return !this.#hasChecksums ||`,
    to: `return true ||`
  },
  {
    name: "the next sync takes over what the last one had to do",
    world: "binlog",
    module: "internal/binlog/sync",
    from: `for (const [file, end] of written) file.synced = end`,
    to: `for (const [file] of written) file.synced = file.end`
  },
  {
    name: "only the last file is synced",
    world: "binlog",
    module: "internal/binlog/sync",
    from: `const files = written.map(([file]) => file)`,
    to: `const files = written.slice(-1).map(([file]) => file)`
  }
]

/** The source of a module with the bug in it. */
export const broken = ({ from, module, name, to }: Breakage, source: string): string => {
  if (source.split(from).length !== 2) throw new Error(`"${name}": its piece of ${module}.ts is not there, or not once`)
  return source.replace(from, () => to)
}
