import { messageOf } from '@fenceline/common';
import {
  DEMO_USAGE,
  parseDemoWish,
  playDemo,
  type DemoOutput,
  type DemoWish,
} from '@fenceline/common/demo';
import { openSimDemoSite } from './simDemoSite.js';

/** `./scripts/demo --simulated …`: the story on simulated hosts. @returns the exit code. */
export async function runDemo(args: readonly string[], output: DemoOutput): Promise<number> {
  let wish: DemoWish;
  try {
    wish = parseDemoWish(args);
  } catch (error) {
    output.err(`demo: ${messageOf(error)}`);
    for (const line of DEMO_USAGE) output.err(line);
    return 2;
  }
  if (wish.help) {
    for (const line of DEMO_USAGE) output.out(line);
    return 0;
  }
  const { seed } = wish;
  return playDemo((options) => openSimDemoSite({ seed }, options), wish, output);
}
