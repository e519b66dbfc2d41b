/** The verdict table; it stands where whoever verifies a stored proof judges by it, too. */
export { resolveVerdict, type RawVerdict, type VerdictDecision } from '@fenceline/common';
