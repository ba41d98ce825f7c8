/**
 * What is not a rate, measured in a process of its own against a server of its own. Its argument is the `Question`, as
 * JSON; it prints the number that answers it.
 */
import { once } from "node:events"
import { setTimeout as sleep } from "node:timers/promises"
import { ask } from "../beanstalkd.ts"
import { exchange, open } from "../put/limit.ts"
import { median } from "../statistics.ts"
import { worker } from "./effect-beanstalkd.ts"
import { PUT, putJobs } from "./jobs.ts"

/** What to measure. */
export type Question =
  & { readonly port: number }
  & (
    | { readonly what: "latency"; readonly client: "limit" | "effect-beanstalkd"; readonly crashGuard: boolean }
    | { readonly what: "reserves"; readonly handlerMillis: number }
    | { readonly what: "heap"; readonly jobs: ReadonlyArray<number> }
  )

const CONCURRENCY = 64

const LATENCIES = 1000
const LATENCY_WARMUP = 10_000

/** Before each job that is measured: the worker is idle again, and so is the machine. */
const PAUSE_MILLIS = 2

/** The median, in microseconds, of what it takes from the moment that a job is put until it is `handled`, which says when. */
const latency = async (port: number, handled: () => Promise<number>): Promise<number> => {
  const producer = await open(port)
  producer.resume()
  const micros: Array<number> = []
  for (let n = 0; n < LATENCY_WARMUP + LATENCIES; n++) {
    const done = handled()
    if (n >= LATENCY_WARMUP) await sleep(PAUSE_MILLIS)
    const began = performance.now()
    producer.write(PUT, "latin1")
    const ended = await done
    if (n >= LATENCY_WARMUP) micros.push((ended - began) * 1000)
  }
  producer.destroy()
  return median(micros)
}

/** Bare round trips: until RESERVED, or until the reply to the stats-job that follows it. */
const limitLatency = async (port: number, crashGuard: boolean): Promise<number> => {
  const socket = await open(port)
  let id = 0
  const answer = await latency(port, async () => {
    const settle = id === 0 ? "" : `delete ${id}\r\n`
    await exchange(socket, `${settle}reserve-with-timeout 30\r\n`, id === 0 ? 2 : 3, () => "")
    id++
    if (crashGuard) {
      socket.write(`stats-job ${id}\r\n`)
      await once(socket, "data")
    }
    return performance.now()
  })
  socket.destroy()
  return answer
}

const ourLatency = async (port: number, crashGuard: boolean): Promise<number> => {
  const session = await worker({ crashGuard })(port, CONCURRENCY)
  const answer = await latency(port, () => session.run(1))
  await session.close()
  return answer
}

const RATE = 1000
const RATE_SECONDS = 5

const reservesSeen = async (port: number): Promise<number> => {
  const counts = (await ask(port, "stats\r\nquit\r\n")).matchAll(/^cmd-reserve(?:-with-timeout)?: (\d+)/gm)
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0)
}

/** Puts jobs evenly, and answers how many reserve commands the server has seen for each. */
const reservesPerJob = async (port: number, handlerMillis: number): Promise<number> => {
  const session = await worker({ crashGuard: false, handlerMillis })(port, CONCURRENCY)
  const producer = await open(port)
  producer.resume()
  const jobs = RATE * RATE_SECONDS
  const handled = session.run(jobs)
  const began = performance.now()
  for (let put = 0; put < jobs;) {
    await sleep(1)
    const due = Math.min(jobs, Math.floor((performance.now() - began) * RATE / 1000))
    producer.write(PUT.repeat(due - put), "latin1")
    put = due
  }
  await handled
  const reserves = await reservesSeen(port)
  await session.close()
  producer.destroy()
  return reserves / jobs
}

const AT_A_TIME = 20_000

/** What the heap holds after the last of these numbers of jobs, minus after the first, in bytes. */
const heapGrowth = async (port: number, jobs: ReadonlyArray<number>): Promise<number> => {
  const session = await worker({ crashGuard: false })(port, CONCURRENCY)
  const held: Array<number> = []
  let done = 0
  for (const until of jobs) {
    for (; done < until; done += AT_A_TIME) {
      const handled = session.run(AT_A_TIME)
      await putJobs(port, AT_A_TIME)
      await handled
    }
    // What sockets have yet to free is no concern of a worker.
    await sleep(100)
    global.gc!()
    const { arrayBuffers, heapUsed } = process.memoryUsage()
    held.push(heapUsed + arrayBuffers)
  }
  await session.close()
  return held.at(-1)! - held[0]!
}

const measure = (question: Question): Promise<number> => {
  switch (question.what) {
    case "latency":
      return (question.client === "limit" ? limitLatency : ourLatency)(question.port, question.crashGuard)
    case "reserves":
      return reservesPerJob(question.port, question.handlerMillis)
    case "heap":
      return heapGrowth(question.port, question.jobs)
  }
}

console.log(await measure(JSON.parse(process.argv[2]!)))
