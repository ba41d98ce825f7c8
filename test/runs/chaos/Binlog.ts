/**
 * All that a server has ever written to its binlog, also what it has removed since.
 *
 * beanstalkd loses jobs by itself, up to 1.13 at least: when it compacts its binlog it removes the oldest file before it
 * has written the last job of it again (`moveone` of walg.c), and a SIGKILL in between is the end of an old job. Whether it
 * was that, or somebody has deleted the job, is in the files.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { numberIn } from "./Work.ts"

const HEADER = 4
// A record: the length of the tube's name, the name, 80 bytes of job, and where there is a name, the body and CRLF.
const RECORD = 80
const BODY_SIZE = 32
const STATE = 76
const DELETED = 0

export interface Binlog {
  /** Whether the job with this number was written, and was then lost although nobody deleted it. */
  readonly wasLost: (n: number) => boolean
}

const scan = (bytes: Buffer, bodies: Map<bigint, number | undefined>, written: Set<number>, deleted: Set<number>) => {
  for (let at = HEADER; at + 4 + RECORD <= bytes.length;) {
    const nameLength = bytes.readInt32LE(at)
    const job = at + 4 + nameLength
    const id = bytes.readBigUInt64LE(job)
    // Files are full of zeros from the beginning.
    if (id === 0n) return
    at = job + RECORD
    if (nameLength > 0) {
      const size = bytes.readInt32LE(job + BODY_SIZE)
      const n = numberIn(bytes.toString("latin1", at, at + size - 2))
      bodies.set(id, n)
      if (n !== undefined) written.add(n)
      at += size
    }
    const n = bodies.get(id)
    if (bytes[job + STATE] === DELETED && n !== undefined) deleted.add(n)
  }
}

/** Keeps the files of this directory: each lives until the next start of the server at least, so none is missed. */
export const keep = Effect.fnUntraced(function*(dir: string): Effect.fn.Return<() => Binlog, never, Scope.Scope> {
  const kept = join(dir, "kept")
  mkdirSync(kept)
  const link = Effect.sync(() => {
    for (const name of readdirSync(dir)) {
      if (/^binlog\.\d+$/.test(name) && !existsSync(join(kept, name))) linkSync(join(dir, name), join(kept, name))
    }
  })
  yield* Effect.forkScoped(Effect.repeat(link, Schedule.spaced("20 millis")))
  return () => {
    const bodies = new Map<bigint, number | undefined>()
    const written = new Set<number>()
    const deleted = new Set<number>()
    const index = (name: string) => Number(name.slice("binlog.".length))
    for (const name of readdirSync(kept).sort((a, b) => index(a) - index(b))) {
      scan(readFileSync(join(kept, name)), bodies, written, deleted)
    }
    return { wasLost: (n) => written.has(n) && !deleted.has(n) }
  }
})
