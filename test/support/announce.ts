/**
 * Runs once before the tests, and prints what this machine cannot test.
 */
import { spawnSync } from "node:child_process"

export default (): void => {
  const { error } = spawnSync(process.env["BEANSTALKD_BIN"] ?? "beanstalkd", ["-v"])
  if (error === undefined) return
  console.log(
    "There is no beanstalkd on this machine: the tests that need it are skipped. " +
      "To run them: apt-get install -y beanstalkd, or set BEANSTALKD_BIN."
  )
}
