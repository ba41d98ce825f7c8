/**
 * The judgement of a worker, as a table: no server, no clock, no fiber.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Duration, Exit, Option } from "effect"
import { Errors, Protocol } from "effect-beanstalkd"
import { DecodeFailure } from "../../src/internal/worker/decodeFailure.ts"
import * as Policy from "../../src/internal/worker/policy.ts"
import type { Ran } from "../../src/internal/worker/userCode.ts"

const id = Protocol.JobId.make(7)
const decodeError = new Errors.DecodeError({ tube: "work", id, body: new Uint8Array(), cause: "no JSON" })
const interrupt = Cause.interrupt(1)

const counters = (reserves: number, kicks = 0): Policy.Counters => ({ id, reserves, kicks })

describe("the ending of a handler", () => {
  type Kind = Policy.Ending<string>["_tag"]
  const endings: Record<string, readonly [cause: Cause.Cause<string | DecodeFailure>, expected: Kind]> = {
    "that was interrupted": [interrupt, "Interrupted"],
    "that was interrupted twice": [Cause.combine(interrupt, Cause.interrupt(2)), "Interrupted"],
    "that never began, since the body did not decode": [Cause.fail(new DecodeFailure(decodeError)), "Undecodable"],
    "that failed": [Cause.fail("no"), "Failed"],
    "that failed for no reason at all": [Cause.empty, "Failed"],
    "that failed while it was interrupted": [Cause.combine(interrupt, Cause.fail("no")), "Failed"],
    "that died": [Cause.die("defect"), "Died"],
    "that died while it was interrupted": [Cause.combine(interrupt, Cause.die("defect")), "Died"],
    "that failed, and died in a finalizer": [Cause.combine(Cause.fail("no"), Cause.die("defect")), "Died"]
  }

  it.each(Object.entries(endings))("%s", (_, [cause, expected]) => {
    assert.strictEqual(Policy.endingOf(Exit.failCause(cause) as Exit.Failure<never, string>)._tag, expected)
  })

  it("that failed with a DecodeError of its own is a failure like any other", () => {
    const ending = Policy.endingOf(Exit.fail(decodeError) as Exit.Failure<never, Errors.DecodeError>)
    assert.deepStrictEqual(ending, { _tag: "Failed", cause: Cause.fail(decodeError), error: decodeError })
  })

  it("that failed with a Proxy that cannot be read is a failure like any other", () => {
    const secret = new Proxy({}, {
      getPrototypeOf: () => {
        throw new Error("nobody looks at it")
      }
    })
    assert.strictEqual(Policy.endingOf(Exit.fail(secret) as Exit.Failure<never, object>)._tag, "Failed")
  })
})

describe("the verdict", () => {
  const failed = Cause.fail("no")
  const died = Cause.die("defect")
  const succeeded: Policy.Ending<string> = Policy.SUCCEEDED
  const failure: Policy.Ending<string> = { _tag: "Failed", cause: failed, error: "no" }
  const delay = (millis: number): Ran<Option.Option<Duration.Duration>> => ({
    _tag: "Returned",
    value: Option.some(Duration.millis(millis))
  })
  const none: Ran<Option.Option<Duration.Duration>> = { _tag: "Returned", value: Option.none() }
  const giveUp: Policy.Verdict<string> = { _tag: "GiveUp", cause: failed }
  const retry = (attempt: number, millis: number): Policy.Verdict<string> => ({
    _tag: "Retry",
    attempt,
    delay: Duration.millis(millis),
    cause: failed
  })

  type Decided = Policy.Verdict<string> | Policy.Question<string>
  type Row = readonly [
    ending: Policy.Ending<string>,
    facts: Policy.Facts,
    maxAttempts: number,
    expected: Decided
  ]

  const rows: Record<string, Row> = {
    "on a success is to delete the job": [succeeded, {}, 1, { _tag: "Delete" }],
    "on an interruption is to release it": [{ _tag: "Interrupted" }, {}, 1, { _tag: "Release" }],
    "on a body that does not decode is to bury it": [
      { _tag: "Undecodable", error: decodeError },
      {},
      10,
      { _tag: "Bury", cause: Cause.fail(decodeError) }
    ],
    "on a defect is to bury it": [{ _tag: "Died", cause: died }, {}, 10, { _tag: "Bury", cause: died }],
    "on a failure depends on what the server has counted": [failure, {}, 10, { _tag: "AskCounters" }],
    "on a failure depends on the retry policy while attempts are left": [
      failure,
      { counters: counters(9) },
      10,
      { _tag: "AskDelay", attempt: 9, error: "no" }
    ],
    "on the last failure is to give the job up, without asking the retry policy": [
      failure,
      { counters: counters(10) },
      10,
      giveUp
    ],
    "on a failure beyond the last is to give it up": [failure, { counters: counters(11) }, 10, giveUp],
    "on the last failure does not depend on what the retry policy says": [
      failure,
      { counters: counters(10), delay: delay(1000) },
      10,
      giveUp
    ],
    "allows one more attempt per kick": [
      failure,
      { counters: counters(12, 3) },
      10,
      { _tag: "AskDelay", attempt: 12, error: "no" }
    ],
    "allows no more than one per kick": [failure, { counters: counters(13, 3) }, 10, giveUp],
    "allows attempts forever if maxAttempts is Infinity": [
      failure,
      { counters: counters(1_000_000) },
      Infinity,
      { _tag: "AskDelay", attempt: 1_000_000, error: "no" }
    ],
    "is to try again after the delay of the Schedule": [
      failure,
      { counters: counters(3), delay: delay(4000) },
      10,
      retry(3, 4000)
    ],
    "is to give the job up where the Schedule ends, or retryIf says no": [
      failure,
      { counters: counters(3), delay: none },
      10,
      giveUp
    ],
    "is to give it up where the retry policy died, for the reason of the handler": [
      failure,
      { counters: counters(3), delay: { _tag: "Died", cause: Cause.die("policy") } },
      10,
      giveUp
    ],
    "is to try again at once where the shutdown did not wait for the retry policy": [
      failure,
      { counters: counters(3), delay: { _tag: "OutOfTime", cause: interrupt } },
      10,
      retry(3, 0)
    ]
  }

  it.each(Object.entries(rows))("%s", (_, [ending, facts, maxAttempts, expected]) => {
    assert.deepStrictEqual<Decided>(Policy.decide(ending, facts, { maxAttempts }), expected)
  })
})

describe("the crash guard", () => {
  const rows: Record<string, readonly [counters: Policy.Counters, maxAttempts: number, expected: "Run" | "GiveUp"]> = {
    "runs a job for the first time": [counters(1), 1, "Run"],
    "runs it as often as maxAttempts says": [counters(10), 10, "Run"],
    "gives it up after that": [counters(11), 10, "GiveUp"],
    "runs it once more per kick": [counters(13, 3), 10, "Run"],
    "gives it up after that too": [counters(14, 3), 10, "GiveUp"],
    "runs it forever if maxAttempts is Infinity": [counters(1_000_000), Infinity, "Run"]
  }

  it.each(Object.entries(rows))("%s", (_, [counters, maxAttempts, expected]) => {
    assert.strictEqual(Policy.admit(counters, { maxAttempts })._tag, expected)
  })

  it("says which job, and how often it was reserved", () => {
    const admitted = Policy.admit(counters(11), { maxAttempts: 10 })
    assert(admitted._tag === "GiveUp")
    const { message } = Cause.squash(admitted.cause) as Error
    assert.strictEqual(
      message,
      "job 7 was reserved 11 times and never settled: it may end its worker's process"
    )
  })
})
