/**
 * The tubes that `reserve` and `tail` take jobs from.
 */
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import { wrongUsage } from "./failures.ts"
import { switchedOff, tube } from "./flags.ts"

/** `-w TUBE` and `-i`. Who names tubes gets jobs of these alone. */
export const watchFlags = {
  watch: tube(Flag.String("watch")).pipe(
    Flag.withAlias("w"),
    Flag.withDescription("Tube to take jobs from; may be repeated; by default \"default\" alone"),
    Flag.atLeast(0)
  ),
  // It says what is the default since tubes that are named replace `default`, and scripts have it.
  ignoreDefault: switchedOff("ignore-default", "Do not take jobs from the tube default, unless -w names it").pipe(
    Flag.withAlias("i")
  )
}

/** The tubes that the flags mean. */
export const watched = Effect.fnUntraced(function*(
  command: string,
  { ignoreDefault, watch }: { readonly watch: ReadonlyArray<string>; readonly ignoreDefault: boolean }
) {
  if (watch.length > 0) return [...new Set(watch)]
  if (ignoreDefault) return yield* wrongUsage("--ignore-default leaves no tube: give one with --watch", command)
  return ["default"]
})
