import type { Clock, LogFacts, LogLine } from '@fenceline/common';

/** Everything that happened in a world, in order; the same seed gives the same text. */
export class Trace {
  readonly #lines: string[] = [];

  constructor(private readonly clock: Clock) {}

  /** @param who host, `server`, `storage`, `power`, `world` … */
  add(who: string, what: string): void {
    const at = (this.clock.monotonicMs() / 1_000).toFixed(4).padStart(10);
    this.#lines.push(`${at}s ${who.padEnd(8)} ${what}`);
  }

  log(who: string, { level, sentence, facts }: LogLine): void {
    this.add(who, `${level}: ${sentence}${textOf(facts)}`);
  }

  get lines(): readonly string[] {
    return this.#lines;
  }

  text(): string {
    return `${this.#lines.join('\n')}\n`;
  }
}

function textOf(facts: LogFacts): string {
  const entries = Object.entries(facts).filter(([, value]) => value !== undefined);
  return entries.map(([name, value]) => ` ${name}=${JSON.stringify(value)}`).join('');
}
