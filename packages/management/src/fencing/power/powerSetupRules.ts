import path from 'node:path';

const PROGRAM = /^(?:\/(?:[A-Za-z0-9_.+-]+\/)*)?[A-Za-z0-9_.+-]+$/;
const KEY = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/;
const MAX_PARAMETERS = 64;
const MAX_VALUE_CHARS = 16_384;

/** Why a parameter is not allowed whatever its value; fence agents read a flag's "0" as given, too. */
const REFUSED: ReadonlyMap<string, string> = new Map([
  // A stored one could turn a status call into a reboot.
  ['action', 'is set by the server'],
  ['option', 'is set by the server'],
  // safety: these make "off" false: each is an "off" that says nothing about power.
  ['missing_as_off', 'is not allowed: what the device does not know would read as off'],
  ['network_fencing', 'is not allowed: a network that is cut would read as off'],
  ['record_only', 'is not allowed: nothing would be switched off'],
  // Programs that read up to the prompt (fence_virsh) call it off if they found no other word.
  ['cmd_prompt', 'is not allowed: an answer that is cut short would read as off'],
  ['command_prompt', 'is not allowed: an answer that is cut short would read as off'],
  // One device of ours is one outlet: the drill tries each of them by itself.
  ['plug_separator', 'is not allowed: give each outlet as a device of its own, in one level'],
  // With these the program ends well without having looked.
  ['help', 'is not allowed: the device would not be asked'],
  ['version', 'is not allowed: the device would not be asked'],
]);

const PORT = 'it switches a port of a network, not power';
const KEYS = 'it takes access to disks away, not power';
const NOVA = 'it reads a service of OpenStack, not power';
const NO_DEVICE = 'it reads no power';
/** safety: programs of fence-agents whose "off" is no reading of power, whatever their parameters. */
const REFUSED_PROGRAMS: ReadonlyMap<string, string> = new Map([
  ['fence_zvmip', 'it always reads what the device does not know as off'],
  ['fence_skalar', 'it reads a node that is offline as off'],
  ['fence_crosslink', 'it reads silence as off'],
  ['fence_sbd', 'it reads an order that was written as off'],
  ['fence_ack_manual', 'it is a person’s word; see fenceline host confirm-dead'],
  ['fence_compute', NOVA],
  ['fence_evacuate', NOVA],
  ['fence_heuristics_ping', NO_DEVICE],
  ['fence_kdump', NO_DEVICE],
  ['fence_scsi', KEYS],
  ['fence_mpath', KEYS],
  ['fence_brocade', PORT],
  ['fence_cisco_mds', PORT],
  ['fence_ifmib', PORT],
  ['fence_sanbox2', PORT],
]);

/** Everything wrong with a device's set-up, as sentences without any value. */
export function powerSetupProblems(agent: string, parameters: unknown): string[] {
  const problems: string[] = [];
  if (!PROGRAM.test(agent) || agent.split('/').includes('..'))
    problems.push('the power program must be a plain name in PATH or an absolute path');
  const name = path.posix.basename(agent);
  const why = REFUSED_PROGRAMS.get(name);
  if (why !== undefined) problems.push(`the power program ${name} is not allowed: ${why}`);
  if (typeof parameters !== 'object' || parameters === null || Array.isArray(parameters))
    return [...problems, 'the parameters must be a JSON object of texts'];
  const entries = Object.entries(parameters);
  if (entries.length > MAX_PARAMETERS) problems.push(`more than ${MAX_PARAMETERS} parameters`);
  return [...problems, ...entries.flatMap(([key, value]) => parameterProblem(key, value))];
}

/** Those that may reach a program: a second wall behind the check of the whole set-up. */
export function mayBePassed(key: string): boolean {
  return KEY.test(key) && !REFUSED.has(spelled(key));
}

/** One spelling: fence agents take hyphens for underscores, and the reverse, in any mix. */
function spelled(key: string): string {
  return key.toLowerCase().replaceAll('-', '_');
}

function parameterProblem(key: string, value: unknown): string[] {
  if (!KEY.test(key)) return ['a parameter name has characters that are not allowed'];
  const name = spelled(key);
  const refused = REFUSED.get(name);
  if (refused !== undefined) return [`the parameter ${key} ${refused}`];
  if (typeof value !== 'string') return [`the parameter ${key} must be a text`];
  // safety: a cycle is an "off" that nobody can read back.
  if (name === 'method' && value !== 'onoff')
    return [
      'the parameter method must not be cycle (onoff or nothing): it switches on again by itself',
    ];
  if ((name === 'plug' || name === 'port') && value.includes(','))
    return [`the parameter ${key} names several outlets; give each as a device of its own`];
  // safety: a line break in a value would be a second parameter, such as another action.
  const broken = /\p{Cc}/u.test(value);
  if (broken || value.length > MAX_VALUE_CHARS)
    return [`the parameter ${key} has a line break or is too long`];
  return [];
}
