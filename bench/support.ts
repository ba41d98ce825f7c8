/**
 * What every measured client shares: the job it puts, the shape of a client's module, and the concurrent loops.
 */

/** Every job put or reserved, of every client, is this one. */
export const BODY = "0123456789abcdef".repeat(4)
export const BODY_BYTES: Buffer = Buffer.from(BODY)
export const TUBE = "bench"
export const PRIORITY = 1024
export const TTR_SECONDS = 120

/** A client that is connected and ready to be measured. */
export interface Session {
  /** How many connections it opened: one, unless the client's own limits force it to more. */
  readonly connections: number
  /** Does `ops` operations, shared evenly by the concurrent loops. `ops` is a multiple of their number. */
  readonly run: (ops: number) => Promise<unknown>
  readonly close: () => unknown
}

/** Connects a client to do one kind of operation in `fibers` concurrent loops. */
export type Open = (port: number, fibers: number) => Promise<Session>

/** The default export of a client's module: how to open it, by the name of the bench. */
export type Client<Bench extends string> = { readonly [bench in Bench]: Open }

/** `fibers` concurrent loops, each of which awaits `once` before it does it again. */
export const loops = (fibers: number, ops: number, once: (fiber: number) => Promise<unknown>): Promise<unknown> =>
  Promise.all(Array.from({ length: fibers }, async (_, fiber) => {
    for (let left = ops / fibers; left > 0; left--) {
      await once(fiber)
    }
  }))
