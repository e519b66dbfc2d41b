import { fileURLToPath } from 'node:url';
import type { HostHandle } from '@fenceline/lab';

/** What somebody with a sibling's private key, on that sibling, may try. */
export interface Theft {
  name: string;
  /** Behind `ssh OPTIONS root@SUSPECT`. */
  options?: string;
  command?: string;
  stdin?: string;
  /** Words in front of `ssh`. */
  before?: string;
}

/** A file that must never come to be on the suspect. */
export const LOOT = '/var/loot';

export const THEFTS: readonly Theft[] = [
  { name: 'a command', command: `'touch ${LOOT}; id'` },
  { name: 'a shell', stdin: `touch ${LOOT}\nid\n` },
  { name: 'a shell in a terminal', options: '-tt', stdin: `touch ${LOOT}\nid\n\x04` },
  { name: 'a subsystem', options: '-s', command: 'sftp' },
  { name: 'a tunnel device', options: '-w 0:0 -o ExitOnForwardFailure=yes' },
  { name: 'agent and X11', options: '-A -X', command: `'ls -l $SSH_AUTH_SOCK; echo $DISPLAY'` },
  {
    name: 'an environment',
    options:
      '-o "SetEnv=BASH_ENV=/tmp/evil ENV=/tmp/evil LD_PRELOAD=/tmp/evil.so PATH=/tmp' +
      ` FENCELINE_RUN_DIR=${LOOT} FENCELINE_STATE_DIR=${LOOT} FENCELINE_PATH=/tmp LC_X=$(touch${LOOT})"`,
    command: 'id',
  },
  { name: 'the original command', command: `'$(touch ${LOOT}); \`touch ${LOOT}\`; id #'` },
  {
    name: 'flags of the program',
    command: `'--run-dir ${LOOT} --state-dir ${LOOT} --uri test:///x'`,
  },
  { name: 'bash -s', command: `'bash -s'`, stdin: `touch ${LOOT}\nid\n` },
];

/** `ssh` as the thief runs it: our key, no other way in. */
export function sshLine(address: string, key: string): string {
  const options = [
    ...['-F none', '-i', key, '-o IdentitiesOnly=yes -o BatchMode=yes -o LogLevel=ERROR'],
    ...['-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null', '-o ConnectTimeout=5'],
  ];
  return `${options.join(' ')} root@${address}`;
}

export async function attempt(
  from: HostHandle,
  { address, key }: { address: string; key: string },
  theft: Omit<Theft, 'name'>,
): Promise<{ code: number; output: string }> {
  const { options = '', command = '', stdin = '', before = 'timeout 8' } = theft;
  const line = `${before} ssh ${options} ${sshLine(address, key)} ${command} 2>&1`;
  const { code, stdout } = await from.exec(['sh', '-c', line], { input: stdin, timeoutMs: 10_000 });
  return { code: code ?? -1, output: stdout };
}

const SSH2 = fileURLToPath(
  import.meta.resolve('ssh2', new URL('../../../agent/src/', import.meta.url)),
);

/** Asks sshd for every kind of channel and forwarding. Prints what was granted. */
const CHANNELS = `
import ssh2 from ${JSON.stringify(SSH2)};
import { readFileSync } from 'node:fs';
const [address, key] = process.argv.slice(1);
const login = () => new Promise((done, fail) => {
  const client = new ssh2.Client();
  client.on('ready', () => done(client)).on('error', fail);
  client.connect({ host: address, username: 'root', privateKey: readFileSync(key), authHandler: ['publickey'] });
});
const asks = {
  tcpOut: (c, back) => c.forwardOut('127.0.0.1', 1, '127.0.0.1', 22, back),
  agentPort: (c, back) => c.forwardOut('127.0.0.1', 1, '127.0.0.1', 7070, back),
  tcpIn: (c, back) => c.forwardIn('127.0.0.1', 0, back),
  libvirtSocket: (c, back) => c.openssh_forwardOutStreamLocal('/run/libvirt/libvirt-sock', back),
  socketIn: (c, back) => c.openssh_forwardInStreamLocal('/run/loot.sock', back),
  sftp: (c, back) => c.sftp(back),
  pty: (c, back) => c.exec('id', { pty: true }, back),
  x11: (c, back) => c.exec('id', { x11: true }, back),
};
const granted = [];
const said = [];
const client = await login();
for (const [name, ask] of Object.entries(asks)) {
  // A refused request of a session leaves the connection as it is; one that is never answered counts as refused.
  await new Promise((next) => {
    const limit = setTimeout(next, 1500);
    const end = () => { clearTimeout(limit); next(); };
    try {
      ask(client, (error, got) => {
        if (!error) granted.push(name);
        if (got?.on) got.on('data', (d) => said.push(String(d))).on('error', () => {});
        got?.stderr?.on('data', (d) => said.push(String(d)));
        setTimeout(end, 100);
      });
    } catch (error) { end(); }
  });
}
// The shell request is answered by the forced command: the program, and nothing else.
await new Promise((next) => client.shell(false, (error, channel) => {
  if (error) return next();
  channel.on('data', (d) => said.push(String(d))).on('close', next);
  channel.end('id\\n');
}));
client.end();
console.log(JSON.stringify({ granted, said: said.join('') }));
`;

export async function askForChannels(
  from: HostHandle,
  { address, key }: { address: string; key: string },
): Promise<{ granted: string[]; said: string }> {
  const command = ['node', '--input-type=module', '--eval', CHANNELS, address, key];
  const out = await from.mustExec(command, { timeoutMs: 40_000 });
  return JSON.parse(out) as { granted: string[]; said: string };
}
