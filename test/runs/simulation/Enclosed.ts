/**
 * Bodies with and without an envelope, told apart without the code that is tested.
 */

const LINE = /^#job\/1 (\{.*\})\n/

/** What is left of a body when an envelope is taken away. */
export const payloadOf = (body: string): string => body.replace(LINE, "")

/** The id in the envelope of a body, if it has one. */
export const idOf = (body: string): string | undefined => {
  const [, head] = LINE.exec(body) ?? []
  return head === undefined ? undefined : String((JSON.parse(head) as { readonly id?: unknown }).id)
}

/** The id that the job of a key is put with. */
export const idOfKey = (key: number): string => `job-${key}`
