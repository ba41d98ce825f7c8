/**
 * A loopback port without a listener.
 */
import * as Effect from "effect/Effect"
import { randomInt } from "node:crypto"
import * as Net from "node:net"

/**
 * Below the ports that systems give to outgoing connections (32768 and up on Linux). A client that keeps dialing a
 * port of that range without a listener sooner or later gets that same port for its own end, and then is
 * connected to itself.
 */
const first = 20_000
const last = 32_000

const isFree = (port: number): Effect.Effect<boolean> =>
  Effect.callback<boolean>((resume) => {
    const server = Net.createServer()
    server.once("error", () => resume(Effect.succeed(false)))
    server.listen(port, "127.0.0.1", () => server.close(() => resume(Effect.succeed(true))))
  })

/** Chosen at random, not by the (seeded) Random service: test files run side by side and must not meet. */
const candidate = Effect.sync(() => randomInt(first, last))

/** A port that is free now, but not reserved: expect to find it taken when you bind it, and ask again. */
export const freePort: Effect.Effect<number> = Effect.gen(function*() {
  while (true) {
    const port = yield* candidate
    if (yield* isFree(port)) return port
  }
})
