import type { HostHandle, NodeHandle } from '@fenceline/lab';

/** The order tokens that lie on these hosts now, unused. */
export async function tokensOf(hosts: readonly HostHandle[]): Promise<string[]> {
  const lists = hosts.map((host) => host.mustExec(['ls', '/run/fenceline/tokens']));
  return (await Promise.all(lists)).flatMap((list) => list.split('\n').filter(Boolean));
}

/** Every column of the server's database in which one of the words stands. */
const COLUMNS = `
import { DatabaseSync } from 'node:sqlite';
import { readFileSync } from 'node:fs';
const words = readFileSync(0, 'utf8').split('\\n');
const db = new DatabaseSync('/var/lib/fenceline/server/fenceline.db', { readOnly: true });
const places = new Set();
for (const { name } of db.prepare("select name from sqlite_master where type = 'table'").all())
  for (const row of db.prepare('select * from "' + name + '"').all())
    for (const [column, value] of Object.entries(row)) {
      const text = value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : String(value);
      if (words.some((word) => text.includes(word))) places.add('column ' + name + '.' + column);
    }
console.log([...places].join('\\n'));
`;

/**
 * The programs that wait on a host for an order, as a core dump would show them: which of them hold one
 * of the words. Each must hold the name of its own folder, or it was not looked at.
 */
const PROGRAMS = `
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, readSync } from 'node:fs';
const words = readFileSync(0, 'utf8').split('\\n');
const linkOf = (pid) => { try { return readlinkSync('/proc/' + pid + '/exe'); } catch { return ''; } };
for (const pid of readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name))) {
  const program = linkOf(pid);
  if (!program.startsWith('/run/fenceline/bin/')) continue;
  const memory = openSync('/proc/' + pid + '/mem', 'r');
  const held = [];
  for (const line of readFileSync('/proc/' + pid + '/maps', 'utf8').split('\\n')) {
    const [, from, to] = /^(\\w+)-(\\w+) r/.exec(line) ?? [];
    // What is kept to be given back is nothing but zeros, and large.
    if (from === undefined || line.includes('[v') || line.includes('memfd:spare')) continue;
    const part = Buffer.alloc(parseInt(to, 16) - parseInt(from, 16));
    readSync(memory, part, 0, part.length, BigInt('0x' + from));
    held.push(part);
  }
  closeSync(memory);
  const holds = (word) => held.some((part) => part.includes(word));
  if (!holds('/run/fenceline')) console.log('not seen: ' + program);
  if (words.some(holds)) console.log('memory of ' + program);
  console.log('program');
}
`;

/** Folders with a file whose name is one of the words. */
const NAMES = `
find /run /var /etc /root /srv -regextype posix-extended -regex '.*/[0-9a-f]{32}' 2>/dev/null |
  grep -Ff /root/words | sed 's,/[^/]*$,,;s/^/names in /' | sort -u`;

const TEXTS = `
grep -rlaFf /root/words /var/log /run /var/lib/fenceline /etc 2>/dev/null |
  sed 's/\\(fenceline[.]db\\)-wal$/\\1/;s/^/text in /' | sort -u`;

/** Where these order tokens stand: columns, files, names of files, memory of waiting programs. */
export async function placesOf(
  tokens: readonly string[],
  { mgr, hosts }: { mgr: NodeHandle; hosts: readonly HostHandle[] },
): Promise<string[]> {
  const input = tokens.join('\n');
  const asked = [mgr, ...hosts].map(async (node) => {
    await node.mustExec(['sh', '-c', 'umask 077; cat >/root/words'], { input });
    const script = (text: string) =>
      node.mustExec(['node', '--input-type=module', '--eval', text], { input, timeoutMs: 60_000 });
    const found = [
      await node.mustExec(['sh', '-c', `${NAMES}; ${TEXTS}; rm /root/words`]),
      await script(node === mgr ? COLUMNS : PROGRAMS),
    ];
    const lines = found.join('\n').split('\n').filter(Boolean);
    if (node !== mgr && !lines.includes('program')) lines.push('no program waits here');
    return lines.filter((line) => line !== 'program').map((line) => `${node.name}: ${line}`);
  });
  return (await Promise.all(asked)).flat().toSorted();
}
