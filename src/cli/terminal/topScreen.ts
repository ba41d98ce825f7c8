/**
 * The terminal while `top` uses it: the alternate screen and every key without Enter. Both end with the Scope.
 */
import * as Effect from "effect/Effect"

const ENTER = "\u001B[?1049h\u001B[?25l"
const LEAVE = "\u001B[?25h\u001B[?1049l"

/** Draws lines over the current screen, as many as fit. */
export const paint = (lines: ReadonlyArray<string>): void => {
  const height = process.stdout.rows || 24
  process.stdout.write(`\u001B[H${lines.slice(0, height).map((line) => `${line}\u001B[K`).join("\r\n")}\u001B[J`)
}

/** The number of columns. */
export const width = (): number => process.stdout.columns || 80

/** The number of lines. */
export const height = (): number => process.stdout.rows || 24

/** Takes the terminal. `onKey` gets each key, and `onResize` runs after each change of the size. */
export const take = (onKey: (key: string) => void, onResize: () => void) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const { stdin, stdout } = process
      const listener = (keys: Buffer) => {
        // An arrow key arrives as one escape sequence.
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
