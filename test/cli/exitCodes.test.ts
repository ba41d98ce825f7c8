/**
 * Every exit code of the command, as a process of the runtime that the tests run on.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Server } from "effect-beanstalkd"
import * as Cli from "../support/Cli.ts"
import { freePort } from "../support/FreePort.ts"

const interrupted = Effect.fnUntraced(function*(signal: NodeJS.Signals, shows: string, args: ReadonlyArray<string>) {
  const running = yield* Cli.start(args)
  yield* running.shows(shows)
  yield* running.signal(signal)
  return (yield* running.ended).code
}, Effect.scoped)

describe("the command exits with", () => {
  it.live("0 when it has done what was asked, 1 when the server refuses it, 2 for wrong usage, 3 when nothing is there, 4 when no server is", () =>
    Effect.gen(function*() {
      const server = yield* Server.make({ port: 0, maxJobSize: 10 })
      const nobody = `${yield* freePort}`
      const here = `${server.port}`
      const cases: ReadonlyArray<readonly [code: number, args: ReadonlyArray<string>]> = [
        [0, ["put", "--port", here, "hello"]],
        [1, ["put", "--port", here, "more than ten bytes"]],
        [2, ["put", "--port", here, "x", "--nope"]],
        [3, ["peek", "--port", here, "7"]],
        [4, ["list", "--port", nobody]]
      ]
      const codes = yield* Effect.forEach(cases, ([, args]) => Effect.map(Cli.run(args), ({ code }) => code), {
        concurrency: 2
      })
      assert.deepStrictEqual(codes, cases.map(([code]) => code))
    }))

  it.live("130 after Ctrl-C, and 0 after SIGTERM where that is its normal end", () =>
    Effect.gen(function*() {
      const serve = ["serve", "--port", "0"]
      assert.strictEqual(yield* interrupted("SIGINT", "listening on", serve), 130)
      assert.strictEqual(yield* interrupted("SIGTERM", "listening on", serve), 0)
    }))
})
