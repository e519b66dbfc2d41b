import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import {
  linesOf,
  NATIVE,
  onBothPrograms,
  useTools,
  verdictOf,
} from '../../../test/fenceProgramHost.js';

useTools();

const SOCKETS = join(NATIVE, 'build/sockets');
beforeAll(() => {
  execFileSync('make', ['-s', '-C', NATIVE, 'build/sockets']);
});

/** In a net of its own: a connection in one state, the kernel's line about it, and a fence of a network disk. */
const withSocket = (state: string): string => `
  cat >inside <<'INSIDE'
    ${SOCKETS} ${state} ready & SOCKET=$!
    until [[ -e ready ]]; do sleep 0.01; done
    # Its state, and whether anything waits to be sent; of those that nobody owns.
    awk 'NR > 1 && $10 == 0 && $4 != "0A" { split($5, q, ":"); print "state", $4, (q[1] ~ /^0+$/ ? "nothing" : "unsent") }' /proc/net/tcp
    $PROGRAM <order.txt
    kill -KILL $SOCKET
INSIDE
  DEADLINE=1500 order 7 disk=rbd:pool/image >order.txt
  export PROGRAM; unshare -n bash inside`;

onBothPrograms('the fence program: sockets that nobody owns', (play) => {
  test.each([
    ['accepted', '01', 'one that waits to be accepted'],
    ['halfOpen', '03', 'a handshake that is not over'],
    ['halfClosed', '08', 'one that waits to be accepted, and whose peer has gone'],
  ])('F21a: what nobody has written to holds no fence up: %s (%s, %s)', async (state, code) => {
    const { out } = await play({ script: withSocket(state) });
    expect(linesOf(out, 'state')).toEqual([`state ${code} nothing`]);
    expect(linesOf(out, 'disk')[0]).toMatch(/ drained=direct$/);
    expect(verdictOf(out)).toBe('dead');
  });

  test.each([
    ['finWait', '04'],
    ['lastAck', '09'],
    ['closing', '0B'],
  ])(
    'F21a: what a dead client left in its socket may still arrive: %s (%s)',
    async (state, code) => {
      const { out } = await play({ script: withSocket(state) });
      expect(linesOf(out, 'state')).toEqual([`state ${code} unsent`]);
      expect(linesOf(out, 'disk')[0]).toMatch(/ drained=no$/);
      expect(verdictOf(out)).toBe('not-drained');
    },
  );
});
