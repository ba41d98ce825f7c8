/**
 * The worker of fivebeans. It does one job at a time: concurrency is as many workers, each with its connection.
 */
import fivebeans from "fivebeans"
import { type Client, TUBE } from "../support.ts"
import { Counter } from "./jobs.ts"

const HANDLERS = {
  bench: {
    type: "bench",
    work: (_payload: unknown, done: (action: "success") => void) => done("success")
  }
}

// Told to stop, it still waits for the reply to its last reserve.
const close = (worker: InstanceType<typeof fivebeans.worker>): void => {
  worker.stop()
  worker.client?.end()
}

const client: Client<"worker"> = {
  "worker": async (port, fibers) => {
    const counter = new Counter()
    const workers = Array.from({ length: fibers }, (_, n) => {
      const worker = new fivebeans.worker({
        id: String(n),
        host: "127.0.0.1",
        port,
        handlers: HANDLERS,
        ignoreDefault: true
      })
      worker.on("error", (error) => {
        throw error
      })
      worker.on("job.deleted", counter.count)
      return worker
    })
    const run = (ops: number): Promise<unknown> => {
      for (const worker of workers) if (worker.client === null) worker.start([TUBE])
      return counter.next(ops)
    }
    return { connections: fibers, run, close: () => workers.forEach(close) }
  }
}

export default client
