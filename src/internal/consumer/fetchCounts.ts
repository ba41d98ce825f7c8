/**
 * What the connections of one fetcher have taken together, and what all fetchers of one intake have.
 */

/** The things that are counted. */
export type Counted = "asked" | "waiting" | "unsettled"

/** Counts, which are part of the sum `all` if there is one. */
export class FetchCounts {
  /** Reserves that have not been answered. */
  asked = 0
  /** Those of them that wait for a job. */
  waiting = 0
  /** Jobs in hand. */
  unsettled = 0
  readonly #all: FetchCounts | undefined

  constructor(all?: FetchCounts) {
    this.#all = all
  }

  /** How many jobs are in hand or asked for. */
  get taken(): number {
    return this.asked + this.unsettled
  }

  /** One more, or one less. */
  change(what: Counted, by: 1 | -1): void {
    this[what] += by
    this.#all?.change(what, by)
  }
}
