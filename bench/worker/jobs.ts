/**
 * The jobs that are worked on, and who counts them.
 */
import { exchange, open } from "../put/limit.ts"
import { PRIORITY, TTR_SECONDS } from "../support.ts"

const WINDOW = 512

/** 64 bytes, as the worker of fivebeans wants them. All bodies are this one. */
export const BODY = JSON.stringify({ type: "bench", payload: "0123456789abcdef".repeat(2) + "012" })

/** The command that puts one. */
export const PUT = `put ${PRIORITY} 0 ${TTR_SECONDS} ${BODY.length}\r\n${BODY}\r\n`

/** Puts so many jobs. */
export const putJobs = async (port: number, jobs: number): Promise<void> => {
  const socket = await open(port)
  const first = Math.min(WINDOW, jobs)
  let sent = first
  await exchange(socket, PUT.repeat(first), jobs, (replies) => {
    const more = Math.min(replies, jobs - sent)
    sent += more
    return PUT.repeat(more)
  })
  socket.end()
}

/** Counts the jobs of somebody who works without end. */
export class Counter {
  #left = 0
  #resolve = (_now: number) => {}

  readonly count = (): void => {
    this.#left--
    if (this.#left === 0) this.#resolve(performance.now())
  }

  /** Waits until so many more have been counted, and says when that was. */
  readonly next = (jobs: number): Promise<number> =>
    new Promise((resolve) => {
      this.#left += jobs
      if (this.#left <= 0) resolve(performance.now())
      else this.#resolve = resolve
    })
}
