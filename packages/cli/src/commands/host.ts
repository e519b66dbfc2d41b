import {
  HOST_STATES,
  HOST_STATUSES,
  LIVENESSES,
  type AddHostRequest,
  type HostView,
} from '@fenceline/protocol';
import { UsageError } from '../failure.js';
import { given, oneOf, wholeNumber } from '../flags.js';
import { hostLine, hostLines, HOST_HEAD } from '../render/hosts.js';
import { table } from '../render/text.js';
import { shortTime } from '../render/time.js';
import { allItems, type Session } from '../session.js';
import { waitConnected, waitReconnected } from '../wait.js';
import { word, type Add } from './command.js';
import { addHostAccessCommands } from './hostAccess.js';
import { addHostPowerCommands, deviceOf, type DeviceFlags } from './hostPower.js';

const CONNECT_LIMIT_MS = 300_000;

export function addHostCommands(add: Add): void {
  addReaders(add);
  add<AddFlags>({
    name: 'add <addresses...>',
    summary: 'Add a host; the first address is the one to dial.',
    options: [
      ['--name <name>', 'its name (default: the first address)'],
      ['--cluster <cluster>', 'uuid or name (default: the default cluster)'],
      ['--agent-port <port>', 'port of its agent (default 7070)'],
      ['--ssh-port <port>', 'port of its sshd (default 22)'],
      ['--ssh-user <name>', 'who siblings log in as (default root)'],
      ['--power-agent <program>', 'a fence-agents program that switches it'],
      ['--power-parameters <file>', 'its parameters as name=value lines (secrets belong here)'],
      ['--wait', 'wait until it is connected'],
    ],
    lists: [['--power-parameter <name=value>', 'one parameter; everybody on this machine sees it']],
    run: addHost,
  });
  addChanges(add);
  addHostAccessCommands(add);
  addHostPowerCommands(add);
}

interface ListFlags {
  cluster?: string;
  status?: string;
  state?: string;
  liveness?: string;
}

function addReaders(add: Add): void {
  add<ListFlags>({
    name: 'list',
    summary: 'Hosts by name.',
    options: [
      ['--cluster <cluster>', 'uuid or name'],
      ['--status <status>', HOST_STATUSES.join(', ')],
      ['--state <state>', HOST_STATES.join(', ')],
      ['--liveness <liveness>', LIVENESSES.join(', ')],
    ],
    run: async (session, _words, flags) => {
      const query = given({
        cluster: flags.cluster,
        status: oneOf('--status', flags.status, HOST_STATUSES),
        state: oneOf('--state', flags.state, HOST_STATES),
        liveness: oneOf('--liveness', flags.liveness, LIVENESSES),
      });
      const hosts = await allItems(session.api.listHosts, query, session);
      session.show(hosts, (items) =>
        table(
          HOST_HEAD,
          items.map((host) => hostLine(host, session.nowMs())),
          session.paint,
        ),
      );
    },
  });
  add({
    name: 'show <host>',
    summary: 'One host by uuid or name.',
    run: async (session, words) =>
      showHost(session, await session.api.showHost({ host: word(words) }, session.call)),
  });
}

function showHost(session: Session, host: HostView): void {
  session.show(host, (view) => hostLines(view, session.nowMs(), session.paint));
}

interface AddFlags extends DeviceFlags {
  name?: string;
  cluster?: string;
  agentPort?: string;
  sshPort?: string;
  sshUser?: string;
  wait?: boolean;
}

async function addHost(session: Session, addresses: string[], flags: AddFlags): Promise<void> {
  const powerDevice = deviceOf(session, flags);
  const request: AddHostRequest = {
    name: flags.name ?? word(addresses),
    addresses,
    agentPort: wholeNumber('--agent-port', flags.agentPort) ?? 7070,
    sshPort: wholeNumber('--ssh-port', flags.sshPort) ?? 22,
    sshUsername: flags.sshUser ?? 'root',
    ...given({ cluster: flags.cluster, powerDevice }),
  };
  const added = await session.api.addHost(request, session.call);
  const wait = flags.wait ?? false;
  showHost(session, wait ? await waitConnected(session, added, CONNECT_LIMIT_MS) : added);
}

interface ReasonFlags {
  reason?: string;
}
const REASON = [['--reason <text>', 'for the audit']] as const;

function addChanges(add: Add): void {
  add<ReasonFlags & { wait?: boolean }>({
    name: 'reconnect <host>',
    summary: 'Connect the host anew.',
    options: [...REASON, ['--wait', 'wait until it is connected']],
    run: async (session, words, { reason, wait }) => {
      const host = word(words);
      const before = await session.api.showHost({ host }, session.call);
      const asked = await session.api.reconnectHost({ host, ...given({ reason }) }, session.call);
      const waits = wait ?? false;
      showHost(session, waits ? await waitReconnected(session, before, CONNECT_LIMIT_MS) : asked);
    },
  });
  for (const [name, route, summary] of [
    ['enable', 'enableHost', 'VMs may be placed there.'],
    ['disable', 'disableHost', 'No new VMs there; those that run stay and stay guarded.'],
  ] as const)
    add<ReasonFlags>({
      name: `${name} <host>`,
      summary,
      options: REASON,
      run: async (session, words, { reason }) => {
        const request = { host: word(words), ...given({ reason }) };
        showHost(session, await session.api[route](request, session.call));
      },
    });
  add<ReasonFlags>({
    name: 'remove <host>',
    summary: 'Forget a host; refused while a run of a VM there is open.',
    options: REASON,
    run: async (session, words, { reason }) => {
      const request = { host: word(words), ...given({ reason }) };
      const removed = await session.api.removeHost(request, session.call);
      session.show(removed, () => [`${word(words)} is removed`]);
    },
  });
  add<ReasonFlags & { typedName?: string }>({
    name: 'confirm-dead <host>',
    summary: 'State, as a person who has looked, that a host is dead and stays so.',
    options: [...REASON, ['--typed-name <name>', "the host's name once more, instead of asking"]],
    run: confirmDead,
  });
}

async function confirmDead(
  session: Session,
  words: string[],
  flags: ReasonFlags & { typedName?: string },
): Promise<void> {
  const host = word(words);
  // Whoever can't be asked is told what is missing; whoever can learns of a wrong host at once.
  const canAsk = session.world.ask !== undefined;
  const name = canAsk ? (await session.api.showHost({ host }, session.call)).name : undefined;
  const typedName = await answered(session, {
    flag: '--typed-name',
    given: flags.typedName,
    question:
      `${host} must be dead and stay so: if it still runs a VM, that VM's disk is destroyed.\n` +
      'Type the name of the host to confirm: ',
  });
  if (name !== undefined && typedName !== name)
    throw new UsageError(`nothing was confirmed: the host's name is ${name}, not ${typedName}`);
  const reason = await answered(session, {
    flag: '--reason',
    given: flags.reason,
    question: 'How do you know? (for the audit): ',
  });
  const request = { host, typedName, reason };
  const confirmed = await session.api.confirmHostDead(request, session.call);
  session.show(confirmed, ({ vmUuids, expiresAt }) => [
    vmUuids.length === 0
      ? `no run of a VM is open on ${host}: there was nothing to confirm`
      : `${host} counts as dead until ${shortTime(expiresAt)} UTC, for ${vmUuids.length} VMs`,
  ]);
}

interface Question {
  flag: string;
  given: string | undefined;
  question: string;
}

async function answered({ world }: Session, { flag, given: text, question }: Question) {
  if (text !== undefined) return text;
  if (world.ask === undefined) throw new UsageError(`${flag} is missing, and nobody can be asked`);
  return (await world.ask(question)).trim();
}
