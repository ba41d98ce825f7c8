/**
 * The ids of envelopes: UUIDs of version 7 (RFC 9562), which begin with the time and so sort by it, to the millisecond. Those of Effect's
 * `SecureRandom` take longer than all of an envelope may. The random part comes from the global `crypto`, which is loaded when
 * it is first used.
 */
let lastMillis = -1
let lastPrefix = ""

// The time, and the version; it changes a thousand times a second at most.
const prefixOf = (millis: number): string => {
  if (millis === lastMillis) return lastPrefix
  const hex = Math.max(0, Math.floor(millis)).toString(16).padStart(12, "0").slice(-12)
  lastMillis = millis
  lastPrefix = `${hex.slice(0, 8)}-${hex.slice(8)}-7`
  return lastPrefix
}

/** A new id, of a message that is put at this time. All that is random of a version 4 is random here. */
export const messageId = (millis: number): string => prefixOf(millis) + crypto.randomUUID().slice(15)
