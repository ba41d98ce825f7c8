/**
 * The metrics of a binlog, and the recorder through which it updates them. `Metrics` publishes them.
 */
import type * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import type { Attributes } from "./commandRecorder.ts"

/** Bytes that were written. */
export const makeWrittenBytes = (attributes: Attributes = {}) =>
  Metric.counter("beanstalkd_binlog_written_bytes_total", {
    description: "Bytes of records that were written to the binlog",
    incremental: true,
    attributes: { ...attributes, unit: "By" }
  })

/** The files of the directory. */
export const makeFiles = (attributes: Attributes = {}) =>
  Metric.gauge("beanstalkd_binlog_files", {
    description: "Files of the binlog",
    attributes: { ...attributes, unit: "{file}" }
  })

/** What they take. */
export const makeBytes = (attributes: Attributes = {}) =>
  Metric.gauge("beanstalkd_binlog_bytes", {
    description: "Bytes that the files of the binlog take",
    attributes: { ...attributes, unit: "By" }
  })

/** How long the disk takes. */
export const makeSyncDuration = (attributes: Attributes = {}) =>
  Metric.histogram("beanstalkd_binlog_sync_seconds", {
    description: "How long it took to write and sync a batch of records, in seconds",
    boundaries: Metric.exponentialBoundaries({ start: 0.0001, factor: 2, count: 20 }),
    attributes: { ...attributes, unit: "s" }
  })

/** Updates the metrics of one directory. */
export class BinlogRecorder {
  readonly #context: Context.Context<never>
  readonly #writtenBytes: ReturnType<typeof makeWrittenBytes>
  readonly #files: ReturnType<typeof makeFiles>
  readonly #bytes: ReturnType<typeof makeBytes>
  readonly #syncDuration: ReturnType<typeof makeSyncDuration>

  constructor(directory: string, context: Context.Context<never>) {
    const attributes = { directory }
    this.#context = context
    this.#writtenBytes = makeWrittenBytes(attributes)
    this.#files = makeFiles(attributes)
    this.#bytes = makeBytes(attributes)
    this.#syncDuration = makeSyncDuration(attributes)
  }

  readonly onWritten = (bytes: number): void => this.#writtenBytes.updateUnsafe(bytes, this.#context)

  readonly onSynced = (seconds: number): void => this.#syncDuration.updateUnsafe(seconds, this.#context)

  readonly onFiles = (count: number, bytes: number): void => {
    this.#files.updateUnsafe(count, this.#context)
    this.#bytes.updateUnsafe(bytes, this.#context)
  }
}
