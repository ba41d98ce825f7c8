/**
 * Payloads, compressed and back. Off the event loop, since a large one takes milliseconds.
 */
import * as Effect from "effect/Effect"
import * as Zlib from "node:zlib"
import type { Compression } from "./head.ts"

/** How large a payload may be that is compressed, in bytes: what expands to more is refused, or it could fill the memory. */
export const MAX_EXPANDED = 64 * 1024 * 1024

type Callback = (error: Error | null, result: Buffer) => void

interface Algorithm {
  readonly compress: (bytes: Uint8Array, callback: Callback) => void
  readonly expand: (bytes: Uint8Array, callback: Callback) => void
}

const limit = { maxOutputLength: MAX_EXPANDED }

const ALGORITHMS: Readonly<Record<Compression, Algorithm>> = {
  gzip: {
    compress: (bytes, callback) => Zlib.gzip(bytes, callback),
    expand: (bytes, callback) => Zlib.gunzip(bytes, limit, callback)
  },
  zstd: {
    compress: (bytes, callback) => Zlib.zstdCompress(bytes, callback),
    expand: (bytes, callback) => Zlib.zstdDecompress(bytes, limit, callback)
  }
}

/** Whether this runtime has the algorithm. */
export const isSupported = (compression: Compression): boolean =>
  compression === "gzip" || typeof Zlib.zstdCompress === "function"

// What cannot even be started throws.
const run = (start: (callback: Callback) => void): Effect.Effect<Uint8Array, unknown> =>
  Effect.callback((resume) => {
    try {
      start((error, result) => resume(error === null ? Effect.succeed(result) : Effect.fail(error)))
    } catch (thrown) {
      resume(Effect.fail(thrown))
    }
  })

/** Compresses bytes. */
export const compress = (compression: Compression, bytes: Uint8Array): Effect.Effect<Uint8Array, unknown> =>
  run((callback) => ALGORITHMS[compression].compress(bytes, callback))

/** Expands bytes, to at most {@link MAX_EXPANDED}. */
export const expand = (compression: Compression, bytes: Uint8Array): Effect.Effect<Uint8Array, unknown> =>
  isSupported(compression)
    ? run((callback) => ALGORITHMS[compression].expand(bytes, callback))
    : Effect.fail(`this runtime has no ${compression}`)
