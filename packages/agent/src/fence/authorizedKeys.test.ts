import { expect, test } from '@jest/globals';
import type { SiblingKey } from '@fenceline/protocol';
import { renderAuthorizedKeys } from './authorizedKeys.js';
import { forcedCommand } from './programCommand.js';

const KEY = `ssh-ed25519 ${'A'.repeat(68)}`;
const PROGRAM = {
  runDir: '/run/fenceline',
  stateDir: '/var/lib/fenceline/agent',
  libvirtUri: 'qemu:///system',
  orderTokens: true,
};
const COMMAND = forcedCommand(PROGRAM, PROGRAM);
const sibling = (n: number, over: Partial<SiblingKey> = {}): SiblingKey => ({
  hostUuid: `aaaaaaaa-2222-3333-4444-55555555555${n}`,
  addresses: [`10.77.1.1${n}`, `fe80::${n}`],
  fencePublicKey: KEY,
  ...over,
});
const entry = (n: number): string =>
  `restrict,from="10.77.1.1${n},fe80::${n}",command="${COMMAND}" ${KEY}` +
  ` fenceline:aaaaaaaa-2222-3333-4444-55555555555${n}`;
const FOREIGN = [
  '# an administrator wrote this',
  'ssh-rsa AAAAB3 root@laptop',
  'ssh-ed25519 AAAA fenceline: not ours',
];

test('F29: exactly the siblings, other people keep their lines in order', () => {
  const before = [FOREIGN[0], entry(1), FOREIGN[1], entry(2), FOREIGN[2], '', ''].join('\n');
  const after = renderAuthorizedKeys(before, [sibling(3), sibling(2)], PROGRAM);
  expect(after).toBe([...FOREIGN, entry(2), entry(3), ''].join('\n'));
});

test('F29: nothing changes when it is asked again; removing all leaves the foreign lines', () => {
  const once = renderAuthorizedKeys(FOREIGN.join('\n'), [sibling(1)], PROGRAM);
  expect(renderAuthorizedKeys(once, [sibling(1)], PROGRAM)).toBe(once);
  expect(renderAuthorizedKeys(once, [], PROGRAM)).toBe(`${FOREIGN.join('\n')}\n`);
  expect(renderAuthorizedKeys('', [], PROGRAM)).toBe('');
});

test('F29: a rotated key takes the place of the old one', () => {
  const old = renderAuthorizedKeys('', [sibling(1)], PROGRAM);
  const fencePublicKey = `ssh-ed25519 ${'B'.repeat(68)}`;
  const after = renderAuthorizedKeys(old, [sibling(1, { fencePublicKey })], PROGRAM);
  expect(after).toContain('B'.repeat(68));
  expect(after).not.toContain('A'.repeat(68));
});

test.each([
  [{ fencePublicKey: `${KEY}\nssh-rsa AAAA evil` }, 'two keys in one'],
  [{ fencePublicKey: `command="x" ${KEY}` }, 'options in the key'],
  [{ addresses: ['10.0.0.1",command="/bin/sh'] }, 'an address that ends the option'],
  [{ addresses: ['*'] }, 'any address'],
  [{ addresses: [] }, 'no address at all'],
] as [Partial<SiblingKey>, string][])('F29: %o is refused: %s', (over) => {
  expect(() => renderAuthorizedKeys('', [sibling(1, over)], PROGRAM)).toThrow();
});

test('F29: a folder that a shell would read otherwise is refused', () => {
  const program = { ...PROGRAM, stateDir: '/var/lib/x; sh' };
  expect(() => renderAuthorizedKeys('', [sibling(1)], program)).toThrow('a shell reads');
});

test('F29a: an entry without order tokens does not ask for them', () => {
  const text = renderAuthorizedKeys('', [sibling(1)], { ...PROGRAM, orderTokens: false });
  expect(text).not.toContain('--tokens');
  expect(renderAuthorizedKeys(text, [sibling(1)], PROGRAM).match(/--tokens/g)).toHaveLength(2);
});
