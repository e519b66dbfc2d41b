import { expect, test } from '@jest/globals';
import { parseNeighbour, parseRouteGet, signOfEntry } from './parseIp.js';

test.each([
  ['[{"dst":"10.77.1.11","dev":"mgmt","prefsrc":"10.77.1.12","flags":[]}]', { device: 'mgmt' }],
  [
    '[{"dst":"8.8.8.8","gateway":"10.0.0.1","dev":"eth0"}]',
    { device: 'eth0', gateway: '10.0.0.1' },
  ],
  ['[]', undefined],
  ['', undefined],
  ['{}', undefined],
  ['[null]', undefined],
  ['[{"dev":7}]', undefined],
])('F23: route %s', (stdout, way) => {
  expect(parseRouteGet(stdout)).toEqual(way);
});

test.each([
  [
    '[{"dst":"10.77.1.11","dev":"mgmt","lladdr":"02:00:00:00:00:01","state":["REACHABLE"]}]',
    'reachable',
  ],
  ['[{"dst":"10.77.1.11","dev":"mgmt","state":["FAILED"]}]', 'failed'],
  ['[{"dst":"10.77.1.11","dev":"mgmt","state":["INCOMPLETE"]}]', 'failed'],
  ['[{"state":["STALE"]}]', 'unknown'],
  ['[{"state":["PROBE"]}]', 'unknown'],
  ['[{"state":["DELAY"]}]', 'unknown'],
  ['[{"state":["PERMANENT"]}]', 'unknown'],
  ['[{"state":["FAILED"]},{"state":["STALE"]}]', 'unknown'],
  ['[]', 'unknown'],
  ['nonsense', 'unknown'],
])('F23: neighbour %s is %s', (stdout, sign) => {
  expect(parseNeighbour(stdout)).toBe(sign);
});

test.each([
  ['reachable', true, 'reachable'],
  ['reachable', false, 'unknown'],
  ['failed', false, 'failed'],
  ['failed', true, 'failed'],
  ['unknown', true, 'unknown'],
] as const)('F23: an entry that is %s, probed %s, says %s', (seen, probed, sign) => {
  expect(signOfEntry(seen, probed)).toBe(sign);
});
