/**
 * Bytes cut into the pieces in which a network may deliver them.
 */

/** The bytes, cut at these positions. */
export const cut = (bytes: Uint8Array, ...positions: ReadonlyArray<number>): ReadonlyArray<Uint8Array> => {
  const edges = [0, ...positions.toSorted((a, b) => a - b), bytes.length]
  return edges.slice(1).map((end, i) => bytes.subarray(edges[i], end))
}

/** The bytes, each a piece of its own. */
export const oneByOne = (bytes: Uint8Array): ReadonlyArray<Uint8Array> => cut(bytes, ...Array.from(bytes.keys()))

/** Whole, in two pieces in every way, and byte by byte. */
export const everyWay = (bytes: Uint8Array): ReadonlyArray<ReadonlyArray<Uint8Array>> => [
  [bytes],
  ...Array.from(bytes.keys(), (position) => cut(bytes, position)),
  oneByOne(bytes)
]
