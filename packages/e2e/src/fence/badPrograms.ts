import type { HostHandle } from '@fenceline/lab';
import { eventually } from '../agent/agentLab.js';

/** One way in which what runs behind a login goes wrong; `body` is bash on the suspect. */
export interface BadProgram {
  name: string;
  body: string;
  outcome: string;
  triple: string;
}

const FIRST_PORT = 2_201;

/**
 * Behind a real sshd: each case is a port of its own, where another program than the installed one
 * answers. GOOD is what an honest one would say; `$nonce`, `$u` (the VM) and `$host` are the order's.
 */
export const BAD_PROGRAMS: readonly BadProgram[] = [
  bad('says nothing, exits with 0', 'exit 0', 'noNonce'),
  bad('says nothing, exits with 1', 'exit 1', 'noNonce'),
  bad('killed by a signal', 'good; kill -9 $$', 'signalled'),
  bad('exit 137, as a shell tells of a killed child', 'good; exit 137', 'signalled'),
  bad(
    'the session is killed: the channel closes early',
    'good; kill -9 $PPID; sleep 9',
    'channelClosed',
  ),
  bad('the session is killed before it said anything', 'kill -9 $PPID; sleep 9', 'channelClosed'),
  bad('a complete answer, and exit 1', 'good; end; exit 1', 'channelClosed'),
  bad('no last line', 'good', 'noNonce'),
  bad('the nonce of another order', 'good; nonce=00000000000000000000000000000000; end', 'noNonce'),
  bad('a line behind the last one', 'good; end; echo bye', 'noNonce'),
  bad('the last line twice, with another nonce', 'good; end; nonce=${nonce/?/x}; end', 'noNonce'),
  bad('another version of the program', 'greeting="fenceline-fence 2"; good; end', 'noNonce'),
  bad('two verdicts', 'good; verdict dead; end', 'noNonce'),
  bad('a verdict about another VM', 'u=${u//[0-9]/0}; good; end', 'noNonce'),
  bad('another host answers', 'host=${host/%?/e}; good; end', 'wrongHost'),
  bad('refuses: another host', 'echo "$greeting"; echo refused wrong-host; exit 2', 'wrongHost'),
  bad('refuses: no folder to work in', 'echo "$greeting"; echo refused no-run-dir', 'localError'),
  bad('could not look', 'good; control=look-failed; end', 'controlFailed'),
  bad('is not root', 'good; uid=1000; end', 'controlFailed'),
  bad('a newer run lives there', 'say; pid 8; disk synced; verdict dead; end', 'STALE_EPOCH'),
  bad('a disk is not drained', 'say; disk no; verdict dead; end', 'notDrained'),
  bad('a disk has no answer', 'say; verdict dead; end', 'notDrained'),
  bad(
    'a writer',
    'say; disk synced; echo "writer $u 9 dd $disk"; verdict dead; end',
    'otherWriter',
  ),
  bad('unattributed', 'say; disk synced; verdict unattributed; end', 'unattributed alive'),
  bad('alive', 'say; pid 7; disk no; verdict alive; end', 'stillAlive alive'),
  bad('hangs after the login', 'sleep 60', 'deadline'),
  bad('hangs with a pid told', 'say; pid 7; sleep 60', 'stillAlive alive'),
  bad('hangs with a newer pid told', 'say; pid 8; sleep 60', 'deadline'),
  bad('10 MB of lines', 'say; yes "$(printf %080d 0)" | head -c 10000000; good; end', 'noNonce'),
  bad('10 MB without a line end', 'head -c 10000000 /dev/zero; good; end', 'noNonce'),
  bad('10 MB of complaints', 'head -c 10000000 /dev/zero >&2; good; end', 'noNonce'),
];

/** `means`: the outcome, and behind a blank the answer of the three that it is. */
function bad(name: string, body: string, means: string): BadProgram {
  const [outcome = '', triple = 'none'] = means.split(' ');
  return { name, body, outcome, triple };
}

const PREAMBLE = `#!/bin/bash
read -r _; read -r _ nonce words; read -r _ u _ disk
disk=\${disk#disk=file:} host=\${words##*host=} host=\${host%% *} greeting='fenceline-fence 1' uid=0 control=ok
say() { echo "$greeting"; }
pid() { echo "pid $u 4242 99 epoch=$1"; }
disk() { echo "disk $u $disk drained=$1"; }
verdict() { echo "verdict $u $1 barrier=disk"; }
end() { echo "end $nonce host=$host boot=$(</proc/sys/kernel/random/boot_id) pidns=1 uid=$uid control=$control"; }
good() { say; disk synced; verdict dead; }
`;

/** sshd listens on 16 sockets at most. */
const PORTS_PER_SSHD = 16;

/** Starts the sshds behind which they are. Resolves, when they listen, with the port of each. */
export async function serveBadPrograms(host: HostHandle): Promise<(one: BadProgram) => number> {
  const ports = await servePrograms(
    host,
    BAD_PROGRAMS.map(({ body }) => `${PREAMBLE}${body}\n`),
  );
  return (one) => ports[BAD_PROGRAMS.indexOf(one)] ?? 0;
}

/** Starts sshds that run one of these scripts for each login. Resolves with the port of each. */
export async function servePrograms(
  host: HostHandle,
  scripts: readonly string[],
): Promise<number[]> {
  const all = scripts.map((_, i) => FIRST_PORT + i);
  for (const [i, script] of scripts.entries()) await write(host, `/run/bad/${all[i]}`, script);
  for (let first = 0; first < all.length; first += PORTS_PER_SSHD) {
    const ports = all.slice(first, first + PORTS_PER_SSHD);
    await write(host, `/run/bad/sshd${first}`, configFor(ports));
    const command = ['/usr/sbin/sshd', '-D', '-e', '-f', `/run/bad/sshd${first}`];
    await host.startService(`bad${first}`, { command });
  }
  await eventually('the sshds listen', async () => {
    const listening = await host.mustExec(['ss', '-Hltn']);
    return all.every((port) => listening.includes(`:${port} `));
  });
  return all;
}

function configFor(ports: readonly number[]): string {
  const lines = [
    ...ports.map((port) => `Port ${port}`),
    'AddressFamily inet',
    'HostKey /etc/ssh/ssh_host_ed25519_key',
    'PermitRootLogin prohibit-password',
    'PidFile none',
    'MaxStartups 100',
    ...ports.flatMap((port) => [`Match LocalPort ${port}`, `  ForceCommand exec /run/bad/${port}`]),
  ];
  return `${lines.join('\n')}\n`;
}

async function write(host: HostHandle, file: string, text: string): Promise<void> {
  const command = 'mkdir -p "${1%/*}"; cat >"$1"; chmod 755 "$1"';
  await host.mustExec(['sh', '-c', command, 'sh', file], { input: text });
}
