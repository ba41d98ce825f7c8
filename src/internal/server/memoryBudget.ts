/**
 * The memory that the embedded server spends on what its clients leave with it: jobs, tubes, places among those that
 * watch a tube. Memory that goes with its connection, such as replies that a client does not read, is bounded per
 * connection instead.
 */

/** About how many bytes a job takes whose body has `size` bytes. */
export const forJob = (size: number): number => size + 256

/** About how many bytes a tube takes. */
export const TUBE_BYTES = 1024

/** About how many bytes it takes to watch a tube. */
export const WATCH_BYTES = 256

/** A limit in bytes, and how many of them are taken. */
export class MemoryBudget {
  readonly limit: number
  taken = 0

  constructor(limit: number) {
    this.limit = limit
  }

  hasRoomFor(bytes: number): boolean {
    return this.taken + bytes <= this.limit
  }

  take(bytes: number): void {
    this.taken += bytes
  }

  free(bytes: number): void {
    this.taken -= bytes
  }
}
