import { isPrivateKey, type HostView, type SetLoginRequest } from '@fenceline/protocol';
import { UsageError } from '../failure.js';
import { given } from '../flags.js';
import { hostLines } from '../render/hosts.js';
import type { Session } from '../session.js';
import { word, type Add } from './command.js';

// How siblings get in to a host to fence it: their keys, and a login for where those are not known.

interface ReasonFlags {
  reason?: string;
}
const REASON = [['--reason <text>', 'for the audit']] as const;

export function addHostAccessCommands(add: Add): void {
  add<ReasonFlags & LoginFlags>({
    name: 'set-login <host>',
    summary: "How its siblings log in if it doesn't know their keys; stored, never shown again.",
    options: [
      ...REASON,
      ['--password-file <file>', 'its first line is the password'],
      ['--key-file <file>', 'a private key'],
      ['--passphrase-file <file>', 'its first line unlocks the private key'],
    ],
    run: async (session, words, { reason, ...flags }) => {
      const request = { host: word(words), ...loginOf(session, flags), ...given({ reason }) };
      show(session, await session.api.setHostLogin(request, session.call));
    },
  });
  add<ReasonFlags>({
    name: 'remove-login <host>',
    summary: 'Forget that login.',
    options: REASON,
    run: async (session, words, { reason }) => {
      const request = { host: word(words), ...given({ reason }) };
      show(session, await session.api.removeHostLogin(request, session.call));
    },
  });
  add<ReasonFlags & { force?: boolean }>({
    name: 'rotate-key <host>',
    summary: 'Give a host a new key to fence its siblings with; they forget the old one.',
    options: [...REASON, ['--force', "also if a sibling can't be told now"]],
    run: async (session, words, { reason, force = false }) => {
      const request = { host: word(words), force, ...given({ reason }) };
      const rotated = await session.api.rotateHostKey(request, session.call);
      session.show(rotated, ({ untold }) => [
        `${word(words)} fences with a new key`,
        ...untold.map((name) => `${name} lets the old one in until it is connected again`),
      ]);
    },
  });
}

function show(session: Session, host: HostView): void {
  session.show(host, (view) => hostLines(view, session.nowMs(), session.paint));
}

interface LoginFlags {
  passwordFile?: string;
  keyFile?: string;
  passphraseFile?: string;
}

function loginOf(session: Session, flags: LoginFlags): Omit<SetLoginRequest, 'host' | 'reason'> {
  const { passwordFile, keyFile, passphraseFile } = flags;
  const firstLine = (flag: string, file: string): string =>
    readSecret(session, flag, file).split(/\r?\n/)[0] ?? '';
  if (passwordFile !== undefined && keyFile !== undefined)
    throw new UsageError('give --password-file or --key-file, not both: a host has one login');
  if (passwordFile === undefined && keyFile === undefined)
    throw new UsageError('one of --password-file and --key-file is needed');
  if (passwordFile !== undefined) {
    if (passphraseFile !== undefined)
      throw new UsageError('--passphrase-file goes with --key-file only');
    return { kind: 'password', secret: firstLine('--password-file', passwordFile) };
  }
  const secret = readSecret(session, '--key-file', keyFile ?? '');
  if (!isPrivateKey(secret))
    throw new UsageError(
      `--key-file: ${keyFile} holds no private key (-----BEGIN … PRIVATE KEY-----)`,
    );
  return {
    kind: 'privateKey',
    secret,
    ...(passphraseFile === undefined
      ? {}
      : { passphrase: firstLine('--passphrase-file', passphraseFile) }),
  };
}

function readSecret({ world }: Session, flag: string, file: string): string {
  try {
    return world.readText(file);
  } catch {
    throw new UsageError(`${flag}: can't read ${file}`);
  }
}
