import { loadConfig } from '@fenceline/common';
import {
  List,
  NewPowerLevelRequest,
  type NewPowerDeviceRequest,
  type SetHostPowerRequest,
} from '@fenceline/protocol';
import { UsageError } from '../failure.js';
import { given, wholeNumber } from '../flags.js';
import { hostLines } from '../render/hosts.js';
import { shortTime } from '../render/time.js';
import type { Session } from '../session.js';
import { word, type Add } from './command.js';
import { parametersOf } from './powerParameters.js';

/** A drill of a level: two power cycles of a large machine. */
const POWER_LIMIT_MS = 1_800_000;

/** Flags that describe one device. */
export interface DeviceFlags {
  powerAgent?: string;
  powerParameters?: string;
  powerParameter?: string[];
}

/** One power device of flags; undefined: none of them was given. @throws UsageError */
export function deviceOf(session: Session, flags: DeviceFlags): NewPowerDeviceRequest | undefined {
  const { powerAgent: agent, powerParameters: file, powerParameter: lines = [] } = flags;
  if (agent === undefined && file === undefined && lines.length === 0) return undefined;
  if (agent === undefined)
    throw new UsageError('--power-agent is missing: which program do the parameters belong to?');
  const text = file === undefined ? '' : readFile(session, '--power-parameters', file);
  return { agent, parameters: parametersOf([text, ...lines].join('\n')) };
}

/** `levels:`, each with `devices:`, each with `agent:` and `parameters:`. */
class PowerFile {
  @List(() => NewPowerLevelRequest, 9) levels: NewPowerLevelRequest[] = [];
}

interface SetFlags extends DeviceFlags {
  file?: string;
  reason?: string;
}
const REASON = ['--reason <text>', 'for the audit'] as const;

export function addHostPowerCommands(add: Add): void {
  add<SetFlags>({
    name: 'power-set <host>',
    summary: 'Replace the power devices of a host; they prove nothing until power-verify.',
    options: [
      ['--file <file>', 'YAML: levels, each with the devices that must be off together'],
      ['--power-agent <program>', 'or one device: a fence-agents program'],
      ['--power-parameters <file>', 'its parameters as name=value lines (secrets belong here)'],
      REASON,
    ],
    lists: [['--power-parameter <name=value>', 'one parameter; everybody on this machine sees it']],
    run: (session, words, flags) =>
      setPower(session, words, { ...flags, ...levelsOf(session, flags) }),
  });
  add<{ reason?: string }>({
    name: 'power-clear <host>',
    summary: 'Forget the power devices of a host.',
    options: [REASON],
    run: (session, words, { reason }) => setPower(session, words, { levels: [], reason }),
  });
  add<{ reason?: string; level?: string }>({
    name: 'power-verify <host>',
    summary: 'Switch an empty host off, read it back, on: proves its power devices are its own.',
    options: [['--level <number>', 'only this level (default: all)'], REASON],
    run: verifyPower,
  });
}

function levelsOf(session: Session, flags: SetFlags): Pick<SetHostPowerRequest, 'levels'> {
  const device = deviceOf(session, flags);
  if (flags.file === undefined) {
    if (device === undefined)
      throw new UsageError('which device? Give --file, or --power-agent and its parameters');
    return { levels: [{ devices: [device] }] };
  }
  if (device !== undefined)
    throw new UsageError('--file describes every device: leave out --power-agent and parameters');
  const yaml = readFile(session, '--file', flags.file);
  const { levels } = loadConfig(PowerFile, { source: flags.file, yaml, environment: {} });
  if (levels.length === 0)
    throw new UsageError(`--file: ${flags.file} has no levels; to forget them: host power-clear`);
  return { levels };
}

async function setPower(
  session: Session,
  words: string[],
  { levels, reason }: { levels: NewPowerLevelRequest[]; reason?: string | undefined },
): Promise<void> {
  const request = { host: word(words), levels, ...given({ reason }) };
  const host = await session.api.setHostPower(request, session.call);
  session.show(host, (view) => hostLines(view, session.nowMs(), session.paint));
}

async function verifyPower(
  session: Session,
  words: string[],
  flags: { reason?: string; level?: string },
): Promise<void> {
  const host = word(words);
  const level = wholeNumber('--level', flags.level);
  const { powerDevice, powerLevels } = await session.api.showHost({ host }, session.call);
  // What is refused anyway switches nothing.
  const isThere = level === undefined || powerLevels.some((one) => one.level === level);
  if (powerDevice !== null && isThere)
    session.progress(`switching ${host} off and on; this takes up to a few minutes`);
  const request = { host, ...given({ level, reason: flags.reason }) };
  const options = { ...session.call, deadlineMs: POWER_LIMIT_MS };
  const verified = await session.api.verifyHostPower(request, options);
  session.show(verified, ({ verifiedAt }) => [
    `the power device switches ${host}: seen ${shortTime(verifiedAt)}`,
  ]);
}

function readFile({ world }: Session, flag: string, file: string): string {
  try {
    return world.readText(file);
  } catch {
    throw new UsageError(`${flag}: can't read ${file}`);
  }
}
