/**
 * `npm run faults -- [--one-of N] [--offset K] [--server real|embedded]`: sessions that use all there is are cut at every
 * byte, or at one of N.
 */
import * as Effect from "effect/Effect"
import { parseArgs } from "node:util"
import * as RealServer from "../../support/RealServer.ts"
import * as Usage from "../../support/Usage.ts"
import * as Cuts from "./Cuts.ts"

const options = Usage.read("usage: npm run faults -- [--one-of N] [--offset K] [--server real|embedded]", () => {
  const { values } = parseArgs({
    options: {
      "one-of": { type: "string", default: "1" },
      offset: { type: "string", default: "0" },
      server: { type: "string", default: RealServer.available ? "real" : "embedded" }
    }
  })
  return {
    oneOf: Usage.positive("one-of", values["one-of"]),
    offset: Usage.whole("offset", values.offset),
    server: Usage.oneOf("server", values.server, ["real", "embedded"])
  }
})

const { answered, cut, failed, violations } = await Effect.runPromise(
  Cuts.run(options.server === "real" ? Cuts.real : Cuts.embedded, {
    oneOf: options.oneOf,
    offset: options.offset,
    concurrency: 24
  })
)
for (const violation of violations) console.log(violation)
console.log(
  `${options.server} server: cut at ${cut} positions; of the commands ${answered} were answered and ${failed} failed; ` +
    `${violations.length} violations`
)
process.exitCode = violations.length > 0 ? 1 : 0
