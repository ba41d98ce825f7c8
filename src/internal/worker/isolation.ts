/**
 * Jobs that may have ended a process run alone in theirs, so that they can end no other job with it, and one at a time.
 *
 * While such a suspect waits for its turn, no worker of the process asks for jobs. When all that they have in hand is
 * settled, the suspect runs; a job that a reserve brings meanwhile which was waiting already is held until it is over. Jobs
 * that do not end in time are not waited for: the suspect goes back, and for as long as one of them is in hand further
 * suspects go back at once.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"

/** How long a suspect waits for the other jobs to end, and how long others are held while one runs. */
export const PATIENCE = Duration.seconds(30)

/** A worker of this process. */
export interface Member {
  /** The jobs that it has in hand and does not hold for a suspect. */
  readonly jobs: () => ReadonlyArray<object>
  /** A suspect is over: jobs may be asked for again, and those that are held may begin. */
  readonly resume: () => void
}

/** A job that is to run alone. */
export interface Suspect {
  /** Nothing else runs: it is its turn. */
  readonly onTurn: () => void
  /** It does not get a turn now. */
  readonly onRefused: () => void
  /** Calls `onTimeout` when the patience is over, unless the function that it returns is called before. */
  readonly wait: (onTimeout: () => void) => () => void
}

/** The workers of one process, and the one suspect that has or awaits its turn. */
export class Isolation {
  readonly #members = new Set<Member>()
  #suspect: Suspect | undefined
  #isRunning = false
  #stopWaiting = () => {}
  /** The jobs for whose end a suspect has waited in vain: as long as one of them is in hand, none waits again. */
  #stubborn: ReadonlySet<object> = new Set()

  /** Whether no jobs may be asked for. */
  get isClosed(): boolean {
    return this.#suspect !== undefined
  }

  /** Whether a suspect runs, so that nothing else may begin. */
  get isRunning(): boolean {
    return this.#isRunning
  }

  /** A worker begins. Returns a function for its end. */
  join(member: Member): () => void {
    this.#members.add(member)
    return () => {
      this.#members.delete(member)
      this.changed()
    }
  }

  /** Has a suspect run when nothing else does, or refuses it. */
  enter(suspect: Suspect): void {
    if (this.#suspect !== undefined || this.#isInVain) return suspect.onRefused()
    this.#suspect = suspect
    this.#stopWaiting = suspect.wait(() => this.#giveUpWaiting())
    this.changed()
  }

  /** The suspect is over, or its worker does not want it any more. */
  leave(suspect: Suspect): void {
    if (this.#suspect !== suspect) return
    this.#stopWaiting()
    this.#suspect = undefined
    this.#isRunning = false
    for (const member of this.#members) member.resume()
  }

  /** Something that a suspect waits for may be over. */
  changed(): void {
    const suspect = this.#suspect
    if (suspect === undefined || this.#isRunning || this.#hasOthers) return
    this.#stopWaiting()
    this.#isRunning = true
    suspect.onTurn()
  }

  get #jobs(): ReadonlyArray<object> {
    return [...this.#members].flatMap((member) => member.jobs())
  }

  // One of the jobs is the suspect itself.
  get #hasOthers(): boolean {
    return this.#jobs.length > 1
  }

  get #isInVain(): boolean {
    return this.#jobs.some((job) => this.#stubborn.has(job))
  }

  #giveUpWaiting(): void {
    const suspect = this.#suspect
    if (suspect === undefined || this.#isRunning) return
    this.#stubborn = new Set(this.#jobs)
    this.leave(suspect)
    suspect.onRefused()
  }
}

/** The isolation of the process that this fiber runs in. */
export const Current = Context.Reference<Isolation>("effect-beanstalkd/worker/Isolation", {
  defaultValue: () => new Isolation()
})
