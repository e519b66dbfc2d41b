import { appendFileSync } from 'node:fs';

/**
 * For scripts/test: adds one line `passed failed` to the file named by FENCELINE_TEST_COUNTS, and says
 * which tests were left out.
 */
// oxlint-disable-next-line import/no-default-export -- the form that Jest asks for
export default class CountingReporter {
  onRunComplete(_contexts, results) {
    const file = process.env.FENCELINE_TEST_COUNTS;
    if (file === undefined) return;
    for (const { testResults } of results.testResults)
      for (const { status, fullName } of testResults)
        if (status === 'pending') process.stdout.write(`left out: ${fullName}\n`);
    // A file that could not be loaded has failed too, though none of its tests ran.
    const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
    appendFileSync(file, `${results.numPassedTests} ${failed}\n`);
  }
}
