/**
 * What a server wants of its log.
 */

/** When the bytes of a log are made durable: before each reply, so many milliseconds after they were written, or never. */
export type SyncPolicy = "always" | "never" | number

/** What happens in a log, for metrics. */
export interface LogObserver {
  readonly onWritten: (bytes: number) => void
  readonly onSynced: (seconds: number) => void
  readonly onFiles: (count: number, bytes: number) => void
}
