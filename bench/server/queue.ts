/**
 * What it costs a server to have many jobs: in memory, and for each further put.
 */
import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import type { Socket } from "node:net"
import { embedded, type Start, withServer } from "../beanstalkd.ts"
import type { Placement } from "../cpus.ts"
import { exchange, open } from "../put/limit.ts"
import { BODY, BODY_BYTES, TTR_SECONDS } from "../support.ts"

const WINDOW = 500

// Of many priorities, in no order, so that a job's place may be anywhere among the others.
const PUTS = Array.from({ length: WINDOW }, (_, n) => {
  const priority = 1_000_000_000 + (n * 2_654_435_761) % 1_000_000_000
  return `put ${priority} 0 ${TTR_SECONDS} ${BODY_BYTES.length}\r\n${BODY}\r\n`
})
const BYTES = PUTS[0]!.length
const COMMANDS = Buffer.from(PUTS.join("") + PUTS.join(""))

/** Puts so many jobs, `WINDOW` at a time unanswered. */
export const putMany = (socket: Socket, jobs: number): Promise<void> => {
  const first = Math.min(WINDOW, jobs)
  let sent = first
  return exchange(socket, COMMANDS.subarray(0, first * BYTES), jobs, (replies) => {
    const more = Math.min(replies, jobs - sent)
    const from = sent % WINDOW
    sent += more
    return COMMANDS.subarray(from * BYTES, (from + more) * BYTES)
  })
}

const deleteMany = async (socket: Socket, from: number, to: number): Promise<void> => {
  for (let id = from; id < to; id += WINDOW) {
    const ids = Array.from({ length: Math.min(WINDOW, to - id) }, (_, n) => id + n)
    await exchange(socket, ids.map((id) => `delete ${id}\r\n`).join(""), ids.length, () => "")
  }
}

/** Bytes. */
export interface Memory {
  /** What the process has of the machine. */
  readonly resident: number
  /** What its heap holds after a collection of garbage, if it has one. */
  readonly heap: number | null
}

const memoryOf = async (server: ChildProcess, hasHeap: boolean): Promise<Memory> => {
  let heap = null
  if (hasHeap) {
    server.send("memory")
    heap = Number((await once(server, "message"))[0])
  }
  const kibibytes = readFileSync(`/proc/${server.pid}/status`, "latin1").match(/^VmRSS:\s*(\d+)/m)?.[1]
  return { resident: Number(kibibytes) * 1024, heap }
}

/** What so many ready jobs take. */
export const measureMemory = (start: Start, placement: Placement, jobs: number): Promise<Memory> =>
  withServer(start, placement, async (port, server) => {
    const hasHeap = start === embedded
    const socket = await open(port)
    // The first ones have it compile its code.
    await putMany(socket, WINDOW * 20)
    await deleteMany(socket, 1, WINDOW * 20 + 1)
    const before = await memoryOf(server, hasHeap)
    await putMany(socket, jobs)
    const after = await memoryOf(server, hasHeap)
    socket.end()
    return {
      resident: after.resident - before.resident,
      heap: after.heap === null || before.heap === null ? null : after.heap - before.heap
    }
  })

const BATCH = 10_000
const BATCHES = 10

/** Microseconds a put when so many jobs are queued, for each of these numbers, which must rise. */
export const measureDepths = (
  start: Start,
  placement: Placement,
  depths: ReadonlyArray<number>
): Promise<ReadonlyArray<number>> =>
  withServer(start, placement, async (port) => {
    const socket = await open(port)
    const costs: Array<number> = []
    let queued = 0
    let lastId = 0
    for (const depth of depths) {
      await putMany(socket, depth - queued)
      lastId += depth - queued
      queued = depth
      let millis = 0
      for (let batch = 0; batch < BATCHES; batch++) {
        const began = performance.now()
        await putMany(socket, BATCH)
        millis += performance.now() - began
        await deleteMany(socket, lastId + 1, lastId + BATCH + 1)
        lastId += BATCH
      }
      costs.push(millis * 1000 / (BATCH * BATCHES))
    }
    socket.end()
    return costs
  })
