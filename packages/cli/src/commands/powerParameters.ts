import { UsageError } from '../failure.js';

/**
 * Parameters of a fence-agents program from `name=value` lines; empty lines and lines that begin
 * with `#` say nothing. @throws UsageError naming the line, never its text: it may be secret.
 */
export function parametersOf(text: string): Record<string, string> {
  const parameters: Record<string, string> = {};
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.trim().startsWith('#')) continue;
    const at = line.indexOf('=');
    const name = line.slice(0, at).trim();
    if (at < 1 || !/^[A-Za-z][A-Za-z0-9_-]*$/.test(name))
      throw new UsageError(`power parameters, line ${i + 1}: must be name=value`);
    parameters[name] = line.slice(at + 1).trim();
  }
  return parameters;
}
