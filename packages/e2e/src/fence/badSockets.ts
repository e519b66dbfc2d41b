import type { HostHandle } from '@fenceline/lab';
import { eventually } from '../agent/agentLab.js';

/** Ports of a suspect on which something else than a healthy sshd answers. */
export const BAD_PORTS = {
  silent: 2_101,
  bannerOnly: 2_102,
  closes: 2_103,
  resets: 2_104,
  garbage: 2_105,
  http: 2_106,
  trickles: 2_107,
  /** Its accept queue is full, as that of a host without memory. */
  full: 2_108,
  /** A real sshd that shows another host key. */
  otherKey: 2_109,
  /** A real sshd that never comes to a decision about a key. */
  slowAuth: 2_110,
  nobody: 2_199,
} as const;

const SOCKETS = `
const { createServer } = require('node:net');
const on = (port, work) => createServer((s) => { s.on('error', () => {}); work(s); }).listen(port);
const banner = 'SSH-2.0-OpenSSH_9.2p1\\r\\n';
on(${BAD_PORTS.silent}, () => {});
on(${BAD_PORTS.bannerOnly}, (s) => s.write(banner));
on(${BAD_PORTS.closes}, (s) => s.destroy());
on(${BAD_PORTS.resets}, (s) => s.resetAndDestroy());
on(${BAD_PORTS.garbage}, (s) => s.write(banner + 'x'.repeat(1e6)));
on(${BAD_PORTS.http}, (s) => s.end('HTTP/1.1 400 Bad Request\\r\\nConnection: close\\r\\n\\r\\n'));
on(${BAD_PORTS.trickles}, (s) => { const t = setInterval(() => s.write('wait\\r\\n'), 100); s.on('close', () => clearInterval(t)); });
`;

/** A listener that never accepts, with a queue of one, and more clients than that. */
const FULL = `
use Socket;
socket(my $s, PF_INET, SOCK_STREAM, 0) or die;
setsockopt($s, SOL_SOCKET, SO_REUSEADDR, 1);
bind($s, sockaddr_in(${BAD_PORTS.full}, INADDR_ANY)) or die;
listen($s, 0) or die;
my @c;
for (1..4) {
  socket(my $c, PF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0) or die;
  connect($c, sockaddr_in(${BAD_PORTS.full}, INADDR_LOOPBACK));
  push @c, $c;
}
sleep 1000;
`;

const SSHD = (port: number, lines: string): string => `Port ${port}
AddressFamily inet
PermitRootLogin prohibit-password
PidFile none
${lines}
`;

/** Starts all of them. Resolves when they listen. */
export async function serveBadSockets(host: HostHandle): Promise<void> {
  const prepare = `
    mkdir -p /run/sockets && cd /run/sockets
    ssh-keygen -q -t ed25519 -N '' -f other
    printf '#!/bin/sh\\nexec sleep 1000\\n' >hang && chmod 755 hang
    cat >otherKey.conf`;
  const otherKey = SSHD(BAD_PORTS.otherKey, 'HostKey /run/sockets/other');
  await host.mustExec(['sh', '-c', prepare], { input: otherKey });
  const slowAuth = [
    'HostKey /etc/ssh/ssh_host_ed25519_key',
    'AuthorizedKeysFile none',
    'AuthorizedKeysCommand /run/sockets/hang',
    'AuthorizedKeysCommandUser root',
  ];
  await host.mustExec(['sh', '-c', 'cat >/run/sockets/slowAuth.conf'], {
    input: SSHD(BAD_PORTS.slowAuth, slowAuth.join('\n')),
  });
  await host.startService('sockets', { command: ['node', '--eval', SOCKETS] });
  await host.startService('full', { command: ['perl', '-e', FULL] });
  for (const name of ['otherKey', 'slowAuth'])
    await host.startService(name, {
      command: ['/usr/sbin/sshd', '-D', '-f', `/run/sockets/${name}.conf`],
    });
  const wanted = Object.values(BAD_PORTS).filter((port) => port !== BAD_PORTS.nobody);
  await eventually('the sockets listen', async () => {
    const listening = await host.mustExec(['ss', '-Hltn']);
    return wanted.every((port) => listening.includes(`:${port} `));
  });
}
