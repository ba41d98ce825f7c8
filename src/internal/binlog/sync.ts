/**
 * Makes durable in the background what has been written, now and then.
 */
import type { Disk, Done } from "./disk.ts"
import type { LogFile } from "./logFile.ts"

/** Runs steps one after another, each in the background. */
export const inOrder = (steps: ReadonlyArray<(done: Done) => void>, done: Done): void => {
  const run = (at: number): void => {
    const step = steps[at]
    if (step === undefined) return done(null)
    step((error) => error === null ? run(at + 1) : done(error))
  }
  run(0)
}

/** The steps that make it durable that files exist. */
export const stepsToKnow = (disk: Disk, files: ReadonlyArray<LogFile>): ReadonlyArray<(done: Done) => void> => {
  const unknown = files.filter(({ isKnown }) => !isKnown)
  if (unknown.length === 0) return []
  return [
    ...unknown.map(({ handle }) => (done: Done) => handle!.sync(done)),
    (done) => disk.syncDirectory(done),
    (done) => {
      for (const file of unknown) file.isKnown = true
      done(null)
    }
  ]
}

/** The files that have something that is not durable. */
export class Unsynced {
  readonly #disk: Disk
  #files = new Set<LogFile>()

  constructor(disk: Disk) {
    this.#disk = disk
  }

  get isEmpty(): boolean {
    return this.#files.size === 0
  }

  /** Something has been written to this file. */
  wrote(file: LogFile): void {
    this.#files.add(file)
  }

  /** Makes all durable that has been written so far. */
  sync(done: Done): void {
    const written = Array.from(this.#files, (file) => [file, file.written] as const)
    this.#files.clear()
    const files = written.map(([file]) => file)
    const steps = files.map((file) => (next: Done) => file.handle === undefined ? next(null) : file.handle.sync(next))
    inOrder([...stepsToKnow(this.#disk, files), ...steps], (error) => {
      if (error === null) {
        for (const [file, end] of written) file.synced = end
      }
      done(error)
    })
  }

  /** The same, and nothing else happens meanwhile. */
  syncNow(): void {
    for (const file of this.#files) {
      file.handle?.syncNow()
      file.synced = file.written
    }
    if (!this.isEmpty) this.#disk.syncDirectoryNow()
    this.#files.clear()
  }
}
