/**
 * Writes what was recorded, once per turn of the event loop, and lets the replies go that have waited for it.
 */
import type { Gate } from "../server/heldOutput.ts"
import type { Disk } from "./disk.ts"
import type { LogFile } from "./logFile.ts"
import { type Piece, RecordBuffer } from "./recordBuffer.ts"
import { SHORT_BYTES } from "./format.ts"
import type { Stamps } from "./stamps.ts"
import { inOrder, stepsToKnow, type Unsynced } from "./sync.ts"

/** What cannot be done any more. */
export interface Trouble {
  readonly operation: "write" | "sync" | "remove"
  readonly file: string
  readonly cause: unknown
}

/** What a commit works with. */
export interface Options {
  readonly disk: Disk
  readonly stamps: Stamps
  readonly unsynced: Unsynced
  /** Whether a reply waits until the disk has the bytes; otherwise until the system has them. */
  readonly isDurable: boolean
  /** Runs a task when all that has come in this turn of the event loop was read. */
  readonly atEndOfTurn: (task: () => void) => void
  /** Called before a batch is written; what it gives is called when its replies go. */
  readonly onSeal: () => () => void
  readonly onTrouble: (trouble: Trouble) => void
  /** How long a batch took, in seconds. */
  readonly onWritten: (bytes: number) => void
}

// A client that throws while it reads must not keep the others from their replies.
const attempt = (action: () => void): Error | null => {
  try {
    action()
    return null
  } catch (error) {
    return error as Error
  }
}

/** The commits of a log. One batch at most is on its way. */
export class GroupCommit implements Gate {
  readonly #options: Options
  /** What is recorded now. */
  buffer = new RecordBuffer()
  #other = new RecordBuffer()
  #held: Array<() => () => void> = []
  #state: "idle" | "scheduled" | "writing" | "broken" = "idle"
  #whenIdle: Array<() => void> = []
  /** Whether the disk is at work, which goes on when all is over. */
  isWriting = false
  /** Why nothing is written any more. */
  trouble: Trouble | undefined

  constructor(options: Options) {
    this.#options = options
  }

  get isOpen(): boolean {
    return this.#state === "idle"
  }

  hold(seal: () => () => void): void {
    this.#held.push(seal)
    this.request()
  }

  /** Something is to be written at the end of the turn. */
  request(): void {
    if (this.#state !== "idle") return
    this.#state = "scheduled"
    this.#options.atEndOfTurn(() => {
      if (this.#state === "scheduled") this.#run()
    })
  }

  #run(): void {
    const { bytes, length, pieces } = this.buffer
    const release = this.#seal()
    if (length === 0) return this.#done(release)
    this.#state = "writing"
    const sealed = this.buffer
    this.buffer = this.#other
    this.#other = sealed
    if (this.#options.isDurable) return this.#writeDurably(bytes, pieces, release)
    if (this.#write(bytes, pieces)) this.#done(release)
  }

  #seal(): () => void {
    const held = this.#held
    this.#held = []
    const given = held.map((seal) => seal())
    const finish = this.#options.onSeal()
    return () => {
      const failures = [finish, ...given].map(attempt).filter((error) => error !== null)
      if (failures.length > 0) throw failures[0]!
    }
  }

  /** Writes at once. */
  #write(bytes: Buffer, pieces: ReadonlyArray<Piece>): boolean {
    const { onWritten, unsynced } = this.#options
    let name = ""
    try {
      for (const { file, from, offset, to } of pieces) {
        name = file.name
        file.handle!.write(bytes, from, to, offset)
        file.written = offset + to - from
        unsynced.wrote(file)
        fit(file)
        onWritten(to - from)
      }
      return true
    } catch (cause) {
      this.fail({ operation: "write", file: name, cause })
      return false
    }
  }

  // A file's bytes are durable before the next one is begun, so that the beginning of a file can vouch for those before it.
  #writeDurably(bytes: Buffer, pieces: ReadonlyArray<Piece>, release: () => void): void {
    const { disk, onWritten, stamps } = this.#options
    stamps.begin(true)
    let name = ""
    const steps = pieces.flatMap(({ file, from, offset, to }) => [
      ...stepsToKnow(disk, [file]),
      (done: (error: Error | null) => void) => {
        name = file.name
        file.handle!.writeDurably(bytes, from, to, offset, (error) => {
          if (error !== null) return done(error)
          file.written = file.synced = offset + to - from
          onWritten(to - from)
          done(attempt(() => fit(file)))
        })
      }
    ])
    this.isWriting = true
    inOrder(steps, (error) => {
      this.isWriting = false
      if (this.#state === "broken") return
      if (error !== null) return this.fail({ operation: "write", file: name, cause: error })
      this.#done(release)
    })
  }

  #done(release: () => void): void {
    this.#other.clear()
    this.#state = "idle"
    release()
    if (this.buffer.length > 0 || this.#held.length > 0) this.request()
    else for (const next of this.#whenIdle.splice(0)) next()
  }

  /** Nothing that waits is let through any more. */
  fail(trouble: Trouble): void {
    if (this.#state === "broken") return
    this.#state = "broken"
    this.trouble = trouble
    this.#held = []
    this.#options.onTrouble(trouble)
    for (const next of this.#whenIdle.splice(0)) next()
  }

  /** Calls back when nothing is on its way, at once if so. */
  whenIdle(next: () => void): void {
    if (this.#state === "idle" || this.#state === "broken") next()
    else this.#whenIdle.push(next)
  }

  /** Writes what is left, and lets nothing through. */
  finish(): void {
    this.#held = []
    this.writeNow()
    this.#state = "broken"
  }

  /** Writes at once what is to be written, and tells whether it could. */
  writeNow(): boolean {
    if (this.#state === "broken") return false
    const isWritten = this.#write(this.buffer.bytes, this.buffer.pieces)
    this.buffer.clear()
    return isWritten
  }

  /** Forgets what is left. */
  abandon(): void {
    this.#held = []
    this.#state = "broken"
  }
}

// What is left of a file must not be less than a record: beanstalkd would take it for one that was torn.
const fit = (file: LogFile): void => {
  if (file.written === file.end && file.rest < SHORT_BYTES) file.trim()
}
