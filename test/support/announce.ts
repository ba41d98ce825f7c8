/**
 * Runs once before the tests, and prints what this machine cannot test.
 */
import { spawnSync } from "node:child_process"
import * as Promtool from "./Promtool.ts"

export default (): void => {
  const { error } = spawnSync(process.env["BEANSTALKD_BIN"] ?? "beanstalkd", ["-v"])
  if (error !== undefined) {
    console.log(
      "There is no beanstalkd on this machine: the tests that need it are skipped. " +
        "To run them: apt-get install -y beanstalkd, or set BEANSTALKD_BIN."
    )
  }
  if (!Promtool.isThere) {
    console.log("There is no promtool on this machine: the test of Prometheus' text that needs it is skipped.")
  }
}
