/**
 * A question to whoever sits at the terminal. Without a terminal nobody is asked.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { Failed } from "../failures.ts"

/** Whether somebody can be asked. */
export const canAsk = (): boolean => process.stdin.isTTY && process.stderr.isTTY

/** Asks, and fails unless the answer is yes. */
export const confirm = Effect.fnUntraced(function*(question: string) {
  if (!canAsk()) return
  process.stderr.write(`${question} [y/N] `)
  const { stdin } = yield* Stdio.Stdio
  const answer = yield* Stream.runHead(stdin).pipe(
    Effect.map(Option.match({ onNone: () => "", onSome: (bytes) => Buffer.from(bytes).toString().trim() })),
    Effect.orElseSucceed(() => "")
  )
  if (!/^y(es)?$/i.test(answer)) return yield* new Failed({ message: "beanstalk: nothing was changed" })
})
