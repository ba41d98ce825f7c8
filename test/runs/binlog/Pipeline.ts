/**
 * A client that sends batches of commands, and keeps an account of what it hears, until the server is gone.
 */
import type { Dice } from "../../conformance/Dice.ts"
import { type Account, Job, type JobState } from "./Account.ts"
import { Ended, idIn, type Peer, type Reply } from "./Peer.ts"

const MOST_AT_ONCE = 6

// About so many jobs are there at a time, so that files are compacted.
const JOBS = 25

// Larger than a file.
const OVERSIZED = 6000

const WEIGHTS = { put: 4, delete: 3, bury: 1, delay: 1, release: 1, kick: 1 }

/** A reply that makes no sense, by the account. */
export class Surprise extends Error {}

const expect = async (reply: Promise<Reply>, word: string): Promise<Reply> => {
  const answered = await reply
  if (!answered.line.startsWith(word)) throw new Surprise(`${answered.line} in place of ${word}`)
  return answered
}

/** Sends commands until the connection ends. */
export class Pipeline {
  readonly #peer: Peer
  readonly #account: Account
  readonly #dice: Dice

  constructor(peer: Peer, account: Account, dice: Dice) {
    this.#peer = peer
    this.#account = account
    this.#dice = dice
  }

  /** Sends so many batches, or until the connection ends. */
  async run(batches: number): Promise<void> {
    try {
      for (let i = 0; i < batches; i++) await this.batch()
    } catch (error) {
      if (!(error instanceof Ended)) throw error
    }
  }

  /** Sends some commands at once, and waits for their replies. */
  async batch(): Promise<void> {
    const busy = new Set<Job>()
    const count = this.#dice.int(1, MOST_AT_ONCE)
    const sent = Array.from({ length: count }, () => this.#step(busy))
    const failed = (await Promise.allSettled(sent)).flatMap((end) => end.status === "rejected" ? [end.reason] : [])
    if (failed.length > 0) throw failed.find((reason) => reason instanceof Surprise) ?? failed[0]
  }

  #step(busy: Set<Job>): Promise<void> {
    const dice = this.#dice
    const living = this.#account.living
    const idle = living.filter((job) => !busy.has(job))
    const step = dice.weighted({ ...WEIGHTS, put: living.length < JOBS ? 6 : 2 })
    if (step === "put" || idle.length === 0) return this.#put()
    const job = dice.one(idle)
    busy.add(job)
    switch (step) {
      case "delete":
        return this.#change(job, "deleted", `delete ${job.id}`, "DELETED")
      case "kick":
        return this.#kick(job)
      case "bury":
        return this.#endLease(job, { state: "buried", pri: dice.int(0, 5000) })
      case "delay":
        return this.#endLease(job, { state: "delayed", pri: dice.int(0, 5000), delay: dice.int(5000, 9000) })
      case "release":
        return this.#endLease(job, { state: "ready", pri: dice.int(0, 5000), delay: 0 })
    }
  }

  async #put(): Promise<void> {
    const dice = this.#dice
    const size = dice.chance(0.02) ? OVERSIZED : dice.chance(0.1) ? 1000 : dice.int(0, 100)
    const delay = dice.chance(0.2) ? dice.int(5000, 9000) : 0
    const job = new Job({
      tube: dice.one(["default", "emails"]),
      state: delay > 0 ? "delayed" : "ready",
      pri: dice.int(0, 5000),
      delay,
      ttr: dice.int(1000, 2000),
      body: this.#account.nextName() + "x".repeat(size)
    })
    this.#account.add(job)
    const { body, pri, tube, ttr } = job.last
    const [, reply] = await Promise.all([
      expect(this.#peer.send(`use ${tube}`), "USING"),
      expect(this.#peer.put(body, pri, delay, ttr), "INSERTED")
    ])
    this.#account.inserted(job, idIn(reply)!)
  }

  async #change(job: Job, change: Partial<JobState> | "deleted", command: string, word: string): Promise<void> {
    job.ask(change)
    await expect(this.#peer.send(command), word)
    job.acknowledge()
  }

  async #kick(job: Job): Promise<void> {
    if (job.last.state !== "ready") await this.#change(job, { state: "ready" }, `kick-job ${job.id}`, "KICKED")
  }

  /** Reserves the job and ends that lease. A job that is reserved is ready after a restart. */
  async #endLease(job: Job, change: Pick<JobState, "state" | "pri"> & Partial<JobState>): Promise<void> {
    const { id } = job
    job.ask({ state: "ready" })
    const { delay = 0, pri, state } = change
    const isBuried = state === "buried"
    await Promise.all([
      expect(this.#peer.send(`reserve-job ${id}`), "RESERVED"),
      isBuried
        ? this.#change(job, change, `bury ${id} ${pri}`, "BURIED")
        : this.#change(job, change, `release ${id} ${pri} ${delay}`, "RELEASED")
    ])
  }
}
