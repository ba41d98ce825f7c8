/**
 * The servers that share the room of an intake, by what their last reserves brought. All of it is kept up to date with each
 * change, so that nothing has to look at all servers while they are busy.
 */
export class Shares<Source> {
  /** Whose last reserve brought a job. */
  readonly hot = new Set<Source>()
  /** Those that can be asked, had no job, and are not asked now. */
  readonly idle = new Set<Source>()
  /** Those of the idle ones that come before all others. */
  readonly starved = new Set<Source>()

  setHot(source: Source): void {
    this.idle.delete(source)
    this.starved.delete(source)
    this.hot.add(source)
  }

  setIdle(source: Source): void {
    this.hot.delete(source)
    this.idle.add(source)
  }

  /** It is asked, or cannot be. */
  setOther(source: Source): void {
    this.hot.delete(source)
    this.idle.delete(source)
    this.starved.delete(source)
  }

  remove(source: Source): void {
    this.setOther(source)
  }

  /** The idle ones come first from now on. */
  starve(): void {
    for (const source of this.idle) this.starved.add(source)
  }
}
