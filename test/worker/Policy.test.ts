/**
 * The judgement of a worker, as a table: no server, no clock, no fiber.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Duration, Exit, Option } from "effect"
import { Errors, Protocol } from "effect-beanstalkd"
import { DecodeFailure } from "../../src/internal/worker/decodeFailure.ts"
import { Discard, Snooze } from "../../src/internal/worker/directives.ts"
import * as Policy from "../../src/internal/worker/policy.ts"
import type { Ran } from "../../src/internal/worker/userCode.ts"

const id = Protocol.JobId.make(7)
const decodeError = new Errors.DecodeError({ tube: "work", id, body: new Uint8Array(), cause: "no JSON" })
const interrupt = Cause.interrupt(1)

const counters = (reserves: number, kicks = 0): Policy.Counters => ({
  id,
  reserves,
  timeouts: 0,
  releases: 0,
  buries: 0,
  kicks
})

const settings: Policy.PolicySettings = {
  maxAttempts: 10,
  maxCrashes: 3,
  isolateSuspects: true,
  onDefect: "retry",
  onExpired: "discard",
  retriesUndecodable: false,
  hasRetryAfter: false
}

describe("the ending of a handler", () => {
  type Kind = Policy.Ending<string>["_tag"]
  const endings: Record<string, readonly [cause: Cause.Cause<Policy.HandlerFailure<string>>, expected: Kind]> = {
    "that was interrupted": [interrupt, "Interrupted"],
    "that was interrupted twice": [Cause.combine(interrupt, Cause.interrupt(2)), "Interrupted"],
    "that never began, since the body did not decode": [Cause.fail(new DecodeFailure(decodeError)), "Undecodable"],
    "that failed": [Cause.fail("no"), "Failed"],
    "that failed for no reason at all": [Cause.empty, "Failed"],
    "that failed while it was interrupted": [Cause.combine(interrupt, Cause.fail("no")), "Failed"],
    "that died": [Cause.die("defect"), "Died"],
    "that died while it was interrupted": [Cause.combine(interrupt, Cause.die("defect")), "Died"],
    "that failed, and died in a finalizer": [Cause.combine(Cause.fail("no"), Cause.die("defect")), "Died"],
    "that postpones its job": [Cause.fail(new Snooze({ delay: Duration.seconds(3) })), "Snoozed"],
    "that postpones its job, and died in a finalizer": [
      Cause.combine(Cause.fail(new Snooze({ delay: Duration.seconds(3) })), Cause.die("defect")),
      "Died"
    ],
    "that discards its job": [Cause.fail(new Discard({ reason: "nobody needs it" })), "Discarded"]
  }

  it.each(Object.entries(endings))("%s", (_, [cause, expected]) => {
    assert.strictEqual(Policy.endingOf(Exit.failCause(cause) as Exit.Failure<never, string>, false)._tag, expected)
  })

  it("that the worker itself has stopped is no failed attempt", () => {
    const exit = Exit.failCause(interrupt) as Exit.Failure<never, string>
    assert.deepStrictEqual(Policy.endingOf(exit, true), { _tag: "Stopped" })
  })

  it("that failed with a DecodeError of its own is a failure like any other", () => {
    const ending = Policy.endingOf(Exit.fail(decodeError) as Exit.Failure<never, Errors.DecodeError>, false)
    assert.deepStrictEqual(ending, { _tag: "Failed", cause: Cause.fail(decodeError), error: decodeError })
  })

  it("that failed with a Proxy that cannot be read is a failure like any other", () => {
    const secret = new Proxy({}, {
      getPrototypeOf: () => {
        throw new Error("nobody looks at it")
      }
    })
    assert.strictEqual(Policy.endingOf(Exit.fail(secret) as Exit.Failure<never, object>, false)._tag, "Failed")
  })
})

describe("the verdict", () => {
  const failed = Cause.fail("no")
  const died = Cause.die("defect")
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
    attempts: 10,
    delay: Duration.millis(millis),
    cause: failed
  })

  type Decided = Policy.Verdict<string> | Policy.Question<string>
  type Row = readonly [
    ending: Policy.Ending<string>,
    facts: Policy.Facts,
    given: Partial<Policy.PolicySettings>,
    expected: Decided
  ]

  const undecodable = { _tag: "Undecodable", error: decodeError } as const
  const ofDefect = { _tag: "AskDelay", attempt: 9, error: Option.none() } as const

  const rows: Record<string, Row> = {
    "on a handler that the worker has stopped is to release its job at once": [
      { _tag: "Stopped" },
      {},
      { maxAttempts: 1 },
      { _tag: "Release", delay: Duration.zero }
    ],
    "on an interruption by somebody else is that of a failure": [
      { _tag: "Interrupted", cause: interrupt },
      { counters: counters(9) },
      {},
      ofDefect
    ],
    "on the last interruption is to give the job up": [
      { _tag: "Interrupted", cause: interrupt },
      { counters: counters(10) },
      {},
      { _tag: "GiveUp", cause: interrupt }
    ],
    "on a body that does not decode is to give the job up": [
      undecodable,
      {},
      {},
      { _tag: "GiveUp", cause: Cause.fail(decodeError) as Cause.Cause<never> }
    ],
    "on a body that does not decode is that of a failure if the worker retries those": [
      undecodable,
      { counters: counters(9) },
      { retriesUndecodable: true },
      ofDefect
    ],
    "on a defect is that of a failure, but retryIf is not asked": [
      { _tag: "Died", cause: died },
      { counters: counters(9) },
      {},
      ofDefect
    ],
    "on a defect is to bury the job if the worker is told so": [
      { _tag: "Died", cause: died },
      {},
      { onDefect: "bury" },
      { _tag: "Bury", cause: died }
    ],
    "on a snooze is to postpone the job, whatever the counters": [
      { _tag: "Snoozed", delay: Duration.seconds(3) },
      { counters: counters(100) },
      {},
      { _tag: "Postpone", delay: Duration.seconds(3), cause: Cause.empty }
    ],
    "on a discard is to drop the job": [
      { _tag: "Discarded", reason: "nobody needs it" },
      {},
      {},
      { _tag: "Drop", outcome: "discarded", reason: "nobody needs it" }
    ],
    "on a failure depends first on retryAfter, if there is one": [
      failure,
      {},
      { hasRetryAfter: true },
      { _tag: "AskRetryAfter", error: "no" }
    ],
    "on an error that says when to come again is to postpone the job, whatever the counters": [
      failure,
      { retryAfter: delay(2000), counters: counters(100) },
      { hasRetryAfter: true },
      { _tag: "Postpone", delay: Duration.seconds(2), cause: failed }
    ],
    "on an error of which retryAfter says nothing is that of a failure": [
      failure,
      { retryAfter: none },
      { hasRetryAfter: true },
      { _tag: "AskCounters" }
    ],
    "on a failure is to release the job where the shutdown did not wait for retryAfter": [
      failure,
      { retryAfter: { _tag: "OutOfTime", cause: interrupt }, counters: counters(100) },
      { hasRetryAfter: true },
      Policy.RELEASE
    ],
    "on a failure depends on what the server has counted": [failure, {}, {}, { _tag: "AskCounters" }],
    "on a failure depends on the retry policy while attempts are left": [
      failure,
      { counters: counters(9) },
      {},
      { _tag: "AskDelay", attempt: 9, error: Option.some("no") }
    ],
    "on the last failure is to give the job up, without asking the retry policy": [
      failure,
      { counters: counters(10) },
      {},
      giveUp
    ],
    "on a failure beyond the last is to give it up": [failure, { counters: counters(11) }, {}, giveUp],
    "on the last failure does not depend on what the retry policy says": [
      failure,
      { counters: counters(10), delay: delay(1000) },
      {},
      giveUp
    ],
    "allows one more attempt per kick": [
      failure,
      { counters: counters(12, 3) },
      {},
      { _tag: "AskDelay", attempt: 12, error: Option.some("no") }
    ],
    "allows no more than one per kick": [failure, { counters: counters(13, 3) }, {}, giveUp],
    "allows attempts forever if maxAttempts is Infinity": [
      failure,
      { counters: counters(1_000_000) },
      { maxAttempts: Infinity },
      { _tag: "AskDelay", attempt: 1_000_000, error: Option.some("no") }
    ],
    "is to try again after the delay of the Schedule": [
      failure,
      { counters: counters(3), delay: delay(4000) },
      {},
      retry(3, 4000)
    ],
    "is to give the job up where the Schedule ends, or retryIf says no": [
      failure,
      { counters: counters(3), delay: none },
      {},
      giveUp
    ],
    "is to give it up where the retry policy died, for the reason of the handler": [
      failure,
      { counters: counters(3), delay: { _tag: "Died", cause: Cause.die("policy") } },
      {},
      giveUp
    ],
    "is to try again at once where the shutdown did not wait for the retry policy": [
      failure,
      { counters: counters(3), delay: { _tag: "OutOfTime", cause: interrupt } },
      {},
      retry(3, 0)
    ]
  }

  it.each(Object.entries(rows))("%s", (_, [ending, facts, given, expected]) => {
    assert.deepStrictEqual<Decided>(Policy.decide(ending, facts, { ...settings, ...given }), expected)
  })
})

describe("the crash guard", () => {
  const told = (counts: Partial<Policy.Counters>): Policy.Counters => ({ ...counters(1), ...counts })

  type Row = readonly [
    counters: Policy.Counters,
    given: Partial<Policy.PolicySettings>,
    expected: "Run" | "Isolate" | "GiveUp"
  ]

  const rows: Record<string, Row> = {
    "runs a job for the first time": [told({}), {}, "Run"],
    "runs a job that was released however often": [told({ reserves: 51, releases: 50 }), {}, "Run"],
    "runs a job that was buried and kicked": [told({ reserves: 3, buries: 2, kicks: 2 }), {}, "Run"],
    "isolates a job that has crashed once": [told({ reserves: 2 }), {}, "Isolate"],
    "isolates a job whose leases ran out, and does not give it up for that": [
      told({ reserves: 6, timeouts: 5 }),
      {},
      "Isolate"
    ],
    "isolates it until it has crashed maxCrashes times": [told({ reserves: 3 }), {}, "Isolate"],
    "gives it up then": [told({ reserves: 4 }), {}, "GiveUp"],
    "gives it one more run per kick": [told({ reserves: 5, buries: 1, kicks: 1 }), {}, "Isolate"],
    "gives it up when that has crashed too": [told({ reserves: 6, buries: 1, kicks: 1 }), {}, "GiveUp"],
    "gives it up as maxCrashes says": [told({ reserves: 2 }), { maxCrashes: 1 }, "GiveUp"],
    "never gives it up if that is Infinity": [told({ reserves: 1_000_000 }), { maxCrashes: Infinity }, "Isolate"],
    "isolates nothing if it is told so": [told({ reserves: 3, timeouts: 1 }), { isolateSuspects: false }, "Run"],
    "takes counters of a restarted server, which has forgotten reserves, for none": [
      told({ reserves: 1, buries: 3 }),
      {},
      "Run"
    ]
  }

  it.each(Object.entries(rows))("%s", (_, [counters, given, expected]) => {
    assert.strictEqual(Policy.admit(counters, { ...settings, ...given })._tag, expected)
  })

  it("has a suspect come again after 2 to the power of its crashes, in seconds, and 5 minutes at most", () => {
    const delayAt = (crashes: number) => {
      const admitted = Policy.admit(told({ reserves: crashes + 1, timeouts: 0 }), { ...settings, maxCrashes: Infinity })
      assert(admitted._tag === "Isolate")
      return Duration.toSeconds(admitted.delay)
    }
    assert.deepStrictEqual([1, 2, 3, 8, 9, 2000].map(delayAt), [2, 4, 8, 256, 300, 300])
    const timedOut = Policy.admit(told({ reserves: 2, timeouts: 1 }), settings)
    assert(timedOut._tag === "Isolate")
    assert.strictEqual(Duration.toSeconds(timedOut.delay), 1)
  })

  it("says which job, how often its connection was closed, and what that means", () => {
    const admitted = Policy.admit(told({ reserves: 4 }), settings)
    assert(admitted._tag === "GiveUp")
    const { message } = Cause.squash(admitted.cause) as Error
    assert.strictEqual(
      message,
      "job 7 is not tried again: 3 times the connection that had it reserved was closed before it was settled, as when " +
        "its worker's process dies"
    )
  })
})
