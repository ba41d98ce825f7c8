/**
 * From something that fails to the smallest of its kind that fails as well.
 */

/** The lists in which a run of items is missing, the longest runs first. */
export function* withoutSome<A>(items: ReadonlyArray<A>): Generator<ReadonlyArray<A>> {
  for (let size = Math.ceil(items.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < items.length; at += size) yield [...items.slice(0, at), ...items.slice(at + size)]
  }
}

/** Goes on for as long as one of the `smaller` ones `fails`. */
export const shrink = async <A>(
  start: A,
  smaller: (from: A) => Iterable<A>,
  fails: (candidate: A) => boolean | Promise<boolean>
): Promise<A> => {
  const next = async (from: A): Promise<A | undefined> => {
    for (const candidate of smaller(from)) if (await fails(candidate)) return candidate
    return undefined
  }
  let smallest = start
  for (let found = await next(smallest); found !== undefined; found = await next(smallest)) smallest = found
  return smallest
}
