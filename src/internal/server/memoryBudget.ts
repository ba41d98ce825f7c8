/**
 * The memory that the embedded server takes for what its clients leave with it. What a connection takes that leaves
 * nothing, such as a reply that is not read, is bounded for each.
 */

/** About what a job takes, in bytes. */
export const forJob = (size: number): number => size + 256

/** About what a tube takes, in bytes, and a place among those who watch it. */
export const TUBE_BYTES = 1024
export const PLACE_BYTES = 256

/** So many bytes, and how many of them are taken. */
export class Memory {
  readonly limit: number
  taken = 0

  constructor(limit: number) {
    this.limit = limit
  }

  /** Whether there is room for so many more. */
  hasRoomFor(bytes: number): boolean {
    return this.taken + bytes <= this.limit
  }

  take(bytes: number): void {
    this.taken += bytes
  }

  giveBack(bytes: number): void {
    this.taken -= bytes
  }
}
