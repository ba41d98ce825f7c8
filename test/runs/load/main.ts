/**
 * `npm run load [-- --jobs N --fibers N --connections N]`: much of everything, and nothing that stays behind.
 */
import * as Effect from "effect/Effect"
import { parseArgs } from "node:util"
import * as RealServer from "../../support/RealServer.ts"
import * as Usage from "../../support/Usage.ts"
import * as loads from "./loads.ts"

const counts = Usage.read("usage: npm run load -- [--jobs N] [--fibers N] [--connections N]", () => {
  const { values } = parseArgs({
    options: {
      jobs: { type: "string", default: "1000000" },
      fibers: { type: "string", default: "10000" },
      connections: { type: "string", default: "100000" }
    }
  })
  return {
    jobs: Usage.positive("jobs", values.jobs),
    fibers: Usage.positive("fibers", values.fibers),
    connections: Usage.positive("connections", values.connections)
  }
})

const MAX_GROWTH_MIB = 2
// A worker opens connections, and timers, as it needs them.
const MAX_MORE = 10

const tell = ({ after, before, load, said, seconds }: loads.Report): boolean => {
  const growth = after.heapMiB - before.heapMiB
  const isFlat = growth <= MAX_GROWTH_MIB && after.fds - before.fds <= MAX_MORE &&
    after.handles - before.handles <= MAX_MORE
  console.log(
    `${load.count} ${load.unit}: ${seconds.toFixed(1)} s, ${said}; heap ${before.heapMiB.toFixed(1)} -> ` +
      `${after.heapMiB.toFixed(1)} MiB, file descriptors ${before.fds} -> ${after.fds}, ` +
      `handles ${before.handles} -> ${after.handles}${isFlat ? "" : ": GROWS"}`
  )
  return isFlat
}

const main = Effect.gen(function*() {
  const { port } = yield* RealServer.make()
  let isFlat = true
  for (
    const load of [
      loads.jobs(counts.jobs),
      loads.fibers(counts.fibers),
      loads.connections(counts.connections)
    ]
  ) {
    isFlat = tell(yield* loads.run(port, load)) && isFlat
  }
  return isFlat ? 0 : 1
}).pipe(Effect.scoped)

if (RealServer.available) {
  process.exitCode = await Effect.runPromise(main)
} else {
  console.error("skipped: there is no beanstalkd; apt-get install -y beanstalkd, or set BEANSTALKD_BIN")
  if (process.env["CI"] === "true") process.exitCode = 1
}
