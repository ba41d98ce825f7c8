/**
 * Some of what `npm run fuzz` does: hostile servers, callers and clients from a seed.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Calls from "./Calls.ts"
import * as Clients from "./Clients.ts"
import * as Replies from "./Replies.ts"

const SEED = 1

describe("a hostile server", () => {
  it.live("ends each command as it must, and leaves the connection dead or in sync", () =>
    Effect.map(Replies.run(SEED, 5000), (replies) => assert.isAtLeast(replies, 5000)))
})

describe("a hostile caller", () => {
  it.live("sends the command that was accepted, or nothing and an error that says why", () =>
    Effect.map(Calls.run(SEED, 10_000), ({ accepted, refused }) => {
      assert.isAbove(accepted, 3000)
      assert.isAbove(refused, 3000)
    }))
})

describe("a hostile client", () => {
  it.live("gets one reply to each command, within bounds, and leaves nothing behind", () =>
    Effect.map(Clients.run(SEED, 20_000), ({ commands, cutOff, outOfMemory, turnedAway }) => {
      assert.isAtLeast(commands, 20_000)
      assert.isAbove(cutOff, 50)
      assert.isAbove(outOfMemory, 50)
      assert.isAbove(turnedAway, 10)
    }))
})
