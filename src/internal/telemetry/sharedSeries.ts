/**
 * Series that several pollers of one program may set: the last one that lets go of a series removes it.
 */
import * as Context from "effect/Context"
import * as Metric from "effect/Metric"

// By registry, since a series is one only within its registry.
const usersByRegistry = new WeakMap<object, Map<string, number>>()

const usersOf = (context: Context.Context<never>): Map<string, number> => {
  const registry = Context.get(context, Metric.MetricRegistry)
  const users = usersByRegistry.get(registry) ?? new Map<string, number>()
  usersByRegistry.set(registry, users)
  return users
}

/** One poller's share in gauges that are set and removed together. */
export class SharedSeries {
  readonly #context: Context.Context<never>
  readonly #gauges: ReadonlyArray<Metric.Gauge<number>>
  readonly #users: Map<string, number>
  readonly #key: string
  #isHeld = false

  /** `names` tell these gauges from all others. */
  constructor(
    names: ReadonlyArray<string>,
    gauges: ReadonlyArray<Metric.Gauge<number>>,
    context: Context.Context<never>
  ) {
    this.#context = context
    this.#gauges = gauges
    this.#users = usersOf(context)
    // Attributes that the program adds make other series of the same gauges.
    const attributes = Object.entries(Context.get(context, Metric.CurrentMetricAttributes))
    this.#key = JSON.stringify([names, attributes.sort(([a], [b]) => a < b ? -1 : 1)])
  }

  /** Sets the gauges, in their order. */
  set(values: ReadonlyArray<number>): void {
    if (!this.#isHeld) this.#users.set(this.#key, this.#count + 1)
    this.#isHeld = true
    for (const [index, gauge] of this.#gauges.entries()) gauge.updateUnsafe(values[index]!, this.#context)
  }

  /** Removes the gauges, unless another poller has set them as well. */
  release(): void {
    if (!this.#isHeld) return
    this.#isHeld = false
    const left = this.#count - 1
    if (left > 0) this.#users.set(this.#key, left)
    else {
      this.#users.delete(this.#key)
      for (const gauge of this.#gauges) Metric.removeUnsafe(gauge, this.#context)
    }
  }

  get #count(): number {
    return this.#users.get(this.#key) ?? 0
  }
}
