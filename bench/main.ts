/**
 * The benchmarks: `npm run bench -- <bench> [options]`. Each bench is a module with its `usage` and its `run`.
 */
import { version } from "./beanstalkd.ts"
import { UsageError } from "./options.ts"
import { exitOnSignals } from "./processes.ts"
import * as binlog from "./binlog.ts"
import * as envelope from "./envelope.ts"
import * as fleet from "./fleet.ts"
import * as put from "./put.ts"
import * as queue from "./queue.ts"
import * as server from "./server.ts"
import * as worker from "./worker.ts"

interface Bench {
  readonly usage: string
  readonly run: (args: Array<string>, beanstalkd: string) => Promise<number>
}

const BENCHES: Readonly<Record<string, Bench>> = { binlog, envelope, fleet, put, queue, server, worker }

const main = async ([name = "", ...args]: Array<string>): Promise<number> => {
  if (!Object.hasOwn(BENCHES, name)) throw new UsageError(name === "" ? "which bench?" : `no such bench: "${name}"`)
  const beanstalkd = version()
  if (beanstalkd === undefined) {
    console.error("beanstalkd is missing: install it, as with `apt-get install -y beanstalkd`")
    return 1
  }
  return BENCHES[name]!.run(args, beanstalkd)
}

exitOnSignals()
try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  console.error(error.message)
  console.error(Object.values(BENCHES).map((bench) => `usage: npm run bench -- ${bench.usage}`).join("\n"))
  process.exitCode = 2
}
