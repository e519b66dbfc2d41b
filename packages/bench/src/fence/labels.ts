import type { Goal, Measured } from '../result.js';
import { ratio } from '../statistics.js';

/** What is compared. */
export const labels = {
  cold: 'ours, new login',
  line: 'ours, over the fence line',
  newConnection: "ours, new login, and the server's connection is new",
  fenceVirsh: 'fence_virsh -o off',
  openSsh: 'ssh: virsh destroy && pgrep',
  floor: 'floor: kill -9 on the host itself',
  login: 'ssh2: a login and nothing else',
  loginDelayed: "ssh2: the same with Nagle's delay",
} as const;

const { cold, line, fenceVirsh, openSsh } = labels;

export const goals: readonly Goal[] = [
  { ratio: `${cold} / ${openSsh}`, atMost: 0.35 },
  { ratio: `${fenceVirsh} / ${cold}`, atLeast: 6 },
  { ratio: `${line} / ${openSsh}`, atMost: 0.08 },
  { ratio: `${fenceVirsh} / ${line}`, atLeast: 25 },
];

/** Every promised ratio whose sides were measured. */
export function ratiosOf(measured: Measured): Record<string, number> {
  const pairs = goals.map(({ ratio: name }) => [name, name.split(' / ')] as const);
  const known = pairs.filter(([, sides]) => sides.every((side) => measured.has(side)));
  return Object.fromEntries(
    known.map(([name, [upper = '', lower = '']]) => [
      name,
      ratio(measured.summary(upper), measured.summary(lower)),
    ]),
  );
}
