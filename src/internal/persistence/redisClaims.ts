/**
 * Claims in Redis: a string for each, `claimed <token>` or `completed <millis> <token>`. Scripts change them, so that it needs
 * no newer Redis than Effect's own store: `SET` with `NX` and `GET` came with Redis 7.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redis from "effect/persistence/Redis"
import type * as Claims from "../../Claims.ts"
import { type Claim, keyOf, ownerOf } from "./claim.ts"
import { orStoreError } from "./claimsError.ts"

/** What claims in Redis are told, checked. */
export interface RedisSettings {
  readonly prefix: string
  readonly timeToLive: Duration.Duration
}

const claimScript = Redis.script((...args: [key: string, token: string]) => args, {
  lua: `
local held = redis.call("GET", KEYS[1])
if held then return held end
redis.call("SET", KEYS[1], "claimed " .. ARGV[1])
return "claimed " .. ARGV[1]
`,
  numberOfKeys: 1
}).withReturnType<string>()

// A claim that is completed twice keeps its time.
const completeScript = Redis.script((...args: [key: string, now: number, timeToLive: number]) => args, {
  lua: `
local token = string.match(redis.call("GET", KEYS[1]) or "", "^claimed (.*)$")
if not token then return end
redis.call("SET", KEYS[1], "completed " .. ARGV[1] .. " " .. token)
if tonumber(ARGV[2]) > 0 then redis.call("PEXPIRE", KEYS[1], ARGV[2]) end
`,
  numberOfKeys: 1
})

const cleanupScript = Redis.script((...args: [key: string, until: number]) => args, {
  lua: `
local at = string.match(redis.call("GET", KEYS[1]) or "", "^completed (%d+) ")
if at and tonumber(at) <= tonumber(ARGV[1]) then redis.call("DEL", KEYS[1]) end
`,
  numberOfKeys: 1
})

const read = (value: string): Claim => {
  const [, completed, token] = /^(?:claimed|(completed) \d+) ([^]*)$/.exec(value) ?? []
  return { token: token ?? value, isCompleted: completed !== undefined }
}

// Redis takes 2^63 milliseconds at most, and an infinite time is none.
const expiryOf = (timeToLive: Duration.Duration): number => {
  const millis = Math.ceil(Duration.toMillis(timeToLive))
  return millis <= Number.MAX_SAFE_INTEGER ? millis : 0
}

const escapeGlob = (text: string): string => text.replace(/[\\*?[\]^-]/g, "\\$&")

/** Makes claims in Redis. */
export const make = Effect.fnUntraced(function*(
  { prefix, timeToLive: ownTimeToLive }: RedisSettings
): Effect.fn.Return<Claims.Service, never, Redis.Redis> {
  const redis = yield* Redis.Redis
  const clock = yield* Clock.Clock
  const expiry = expiryOf(ownTimeToLive)
  const key = (queue: string, id: string) => prefix + keyOf(queue, id)
  const claim = redis.eval(claimScript)
  const complete = redis.eval(completeScript)
  const removeOld = redis.eval(cleanupScript)

  const cleanup = Effect.fnUntraced(function*(until: number) {
    let cursor = "0"
    do {
      const [next, keys] = yield* redis.send<[string, ReadonlyArray<string>]>(
        "SCAN",
        cursor,
        "MATCH",
        `${escapeGlob(prefix)}*`,
        "COUNT",
        "1000"
      )
      cursor = next
      yield* Effect.forEach(keys, (key) => removeOld(key, until), { concurrency: 64, discard: true })
    } while (cursor !== "0")
  })

  return {
    lookup: (queue, id) =>
      orStoreError(
        Effect.map(
          redis.send<string | null>("GET", key(queue, id)),
          (value) => value === null ? undefined : read(value).token
        )
      ),
    claim: (queue, id, token) =>
      orStoreError(Effect.map(claim(key(queue, id), token), (value) => ownerOf(read(value)))),
    completed: (queue, id) =>
      orStoreError(Effect.suspend(() => complete(key(queue, id), clock.currentTimeMillisUnsafe(), expiry))),
    remove: (queue, id) => orStoreError(redis.send("DEL", key(queue, id))),
    // Redis itself removes those that are older than its own time to live.
    cleanup: ({ timeToLive }) =>
      expiry > 0 && Duration.toMillis(timeToLive) >= expiry
        ? Effect.void
        : orStoreError(
          Effect.suspend(() => cleanup(clock.currentTimeMillisUnsafe() - Duration.toMillis(timeToLive)))
        )
  }
})
