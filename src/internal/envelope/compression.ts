/**
 * Payloads, compressed and back; large ones off the event loop.
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type * as Zlib from "node:zlib"
import type { Compression } from "./head.ts"

// Few programs compress, and all that use tubes would load it: the command line is started often.
let loaded: typeof Zlib | undefined
const zlib = (): typeof Zlib => loaded ??= process.getBuiltinModule("node:zlib")

/** How large a payload may be that is compressed, in bytes: what expands to more is refused, or it could fill the memory. */
export const MAX_EXPANDED = 64 * 1024 * 1024

/** What is at most as large, in bytes, is compressed and expanded at once: that takes a few milliseconds at worst. */
const AT_ONCE = 256 * 1024

type Callback = (error: Error | null, result: Buffer) => void

interface Limit {
  readonly maxOutputLength: number
}

interface Algorithm {
  readonly compress: (bytes: Uint8Array) => Buffer
  readonly compressLater: (bytes: Uint8Array, callback: Callback) => void
  readonly expand: (bytes: Uint8Array, limit: Limit) => Buffer
  readonly expandLater: (bytes: Uint8Array, limit: Limit, callback: Callback) => void
}

// Looked up when they are used: a runtime may lack zstd.
const ALGORITHMS: Readonly<Record<Compression, Algorithm>> = {
  gzip: {
    compress: (bytes) => zlib().gzipSync(bytes),
    compressLater: (bytes, callback) => zlib().gzip(bytes, callback),
    expand: (bytes, limit) => zlib().gunzipSync(bytes, limit),
    expandLater: (bytes, limit, callback) => zlib().gunzip(bytes, limit, callback)
  },
  zstd: {
    compress: (bytes) => zlib().zstdCompressSync(bytes),
    compressLater: (bytes, callback) => zlib().zstdCompress(bytes, callback),
    expand: (bytes, limit) => zlib().zstdDecompressSync(bytes, limit),
    expandLater: (bytes, limit, callback) => zlib().zstdDecompress(bytes, limit, callback)
  }
}

/** Whether this runtime has the algorithm. */
export const isSupported = (compression: Compression): boolean =>
  compression === "gzip" || typeof zlib().zstdCompress === "function"

const now = (run: () => Uint8Array): Effect.Effect<Uint8Array, unknown> => {
  try {
    return Effect.succeed(run())
  } catch (thrown) {
    return Effect.fail(thrown)
  }
}

const later = (start: (callback: Callback) => void): Effect.Effect<Uint8Array, unknown> =>
  Effect.callback((resume) =>
    start((error, result) => resume(error === null ? Effect.succeed(result) : Effect.fail(error)))
  )

/** Compresses bytes. */
export const compress = (compression: Compression, bytes: Uint8Array): Effect.Effect<Uint8Array, unknown> => {
  if (!isSupported(compression)) return Effect.fail(`this runtime has no ${compression}`)
  const { compress, compressLater } = ALGORITHMS[compression]
  return bytes.length <= AT_ONCE
    ? now(() => compress(bytes))
    : later((callback) => compressLater(bytes, callback))
}

/** The same without waiting; undefined for what does not expand. */
export const expandNow = (compression: Compression, bytes: Uint8Array): Uint8Array | undefined => {
  try {
    return ALGORITHMS[compression].expand(bytes, { maxOutputLength: MAX_EXPANDED })
  } catch {
    return undefined
  }
}

const isTooLarge = (error: unknown): boolean =>
  Predicate.hasProperty(error, "code") && error.code === "ERR_BUFFER_TOO_LARGE"

/** Expands bytes, to at most {@link MAX_EXPANDED}. */
export const expand = (compression: Compression, bytes: Uint8Array): Effect.Effect<Uint8Array, unknown> => {
  if (!isSupported(compression)) return Effect.fail(`this runtime has no ${compression}`)
  const { expand, expandLater } = ALGORITHMS[compression]
  // Nothing tells beforehand how large it will be.
  return Effect.catchIf(
    now(() => expand(bytes, { maxOutputLength: AT_ONCE })),
    isTooLarge,
    () => later((callback) => expandLater(bytes, { maxOutputLength: MAX_EXPANDED }, callback))
  )
}
