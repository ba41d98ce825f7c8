/**
 * How `peek` and `reserve` print a job: `--base64` and `--raw`.
 */
import * as Effect from "effect/Effect"
import { wrongUsage } from "./failures.ts"
import { base64Bodies, rawBody } from "./flags.ts"
import { beanstalk } from "./root.ts"
import type { JobStyle } from "./terminal/output.ts"

export const styleFlags = { base64: base64Bodies, raw: rawBody }

/** Refuses flags that exclude each other. */
export const checkStyle = Effect.fnUntraced(function*(command: string, { base64, raw }: JobStyle) {
  const { json } = yield* beanstalk
  if (raw && (base64 || json)) return yield* wrongUsage(`either --raw or ${json ? "--json" : "--base64"}`, command)
})
