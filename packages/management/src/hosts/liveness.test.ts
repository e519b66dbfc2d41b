import { LIVENESSES, type Liveness } from '@fenceline/protocol';
import { expect, test } from '@jest/globals';
import { livenessArrows, type LivenessArrow } from './liveness.js';

const legal: Record<LivenessArrow, { from: Liveness[]; to: Liveness }> = {
  becameLate: { from: ['online'], to: 'late' },
  suspected: { from: ['online', 'late', 'isolated'], to: 'suspect' },
  foundIsolated: { from: ['suspect'], to: 'isolated' },
  fenceBegan: { from: ['suspect', 'isolated', 'fenced'], to: 'fencing' },
  fenceDone: { from: ['fencing'], to: 'fenced' },
  fenceCalledOff: { from: ['fencing'], to: 'suspect' },
  cameBack: { from: ['late', 'suspect', 'isolated', 'fencing', 'fenced'], to: 'online' },
};

const cases = Object.entries(legal).flatMap(([name, { from, to }]) =>
  LIVENESSES.map((now) => ({ name: name as LivenessArrow, now, to, isLegal: from.includes(now) })),
);

test.each(cases)('D7: $name from $now', ({ name, now, to, isLegal }) => {
  const go = () => livenessArrows[name](now, 'because');
  if (now === to) expect(go()).toBeUndefined();
  else if (isLegal) expect(go()).toEqual({ to, reason: 'because' });
  else expect(go).toThrow(/not possible/);
});
