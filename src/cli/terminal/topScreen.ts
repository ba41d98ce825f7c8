/**
 * The terminal while `top` has it: a screen of its own, every key at once, and all as it was when the Scope ends.
 */
import * as Effect from "effect/Effect"

const ENTER = "\u001B[?1049h\u001B[?25l"
const LEAVE = "\u001B[?25h\u001B[?1049l"

/** Draws these lines over what is there, cut to the terminal. */
export const paint = (lines: ReadonlyArray<string>): void => {
  const height = process.stdout.rows || 24
  process.stdout.write(`\u001B[H${lines.slice(0, height).map((line) => `${line}\u001B[K`).join("\r\n")}\u001B[J`)
}

/** How many columns there are. */
export const width = (): number => process.stdout.columns || 80

/** How many lines there are. */
export const height = (): number => process.stdout.rows || 24

/** Takes the terminal. `onKey` gets each key as it is pressed, `onResize` is told of a new size. */
export const take = (onKey: (key: string) => void, onResize: () => void) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const { stdin, stdout } = process
      const listener = (keys: Buffer) => {
        // A key that has a name comes as an escape sequence, in one piece.
        // oxlint-disable-next-line no-control-regex
        for (const key of keys.toString().match(/\u001B[[O][A-Z]|[\s\S]/g) ?? []) onKey(key)
      }
      if (stdin.isTTY) stdin.setRawMode(true)
      stdin.on("data", listener)
      stdout.on("resize", onResize)
      stdout.write(ENTER)
      return listener
    }),
    (listener) =>
      Effect.sync(() => {
        const { stdin, stdout } = process
        stdin.off("data", listener)
        stdout.off("resize", onResize)
        if (stdin.isTTY) stdin.setRawMode(false)
        stdin.pause()
        stdout.write(LEAVE)
      })
  )
