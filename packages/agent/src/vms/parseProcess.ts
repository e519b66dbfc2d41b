import { dashed, isUuid, MAX_MARK } from '@fenceline/protocol';
import { RUN_MARK } from '../libvirt/domainXml.js';

/** What `/proc/PID/stat` says about a process. */
export interface ProcessStat {
  comm: string;
  state: string;
  /** The kernel's PF_… bits. */
  flags: number;
  threads: number;
  startTime: number;
}

/** Reads `/proc/PID/stat`; the command name may hold spaces and brackets. */
export function parseStat(text: string): ProcessStat | undefined {
  const open = text.indexOf('(');
  const close = text.lastIndexOf(')');
  if (open < 0 || close < open) return undefined;
  const fields = text.slice(close + 2).split(' ');
  const [state] = fields;
  const [flags, threads, startTime] = [fields[6], fields[17], fields[19]].map(Number);
  if (state === undefined || !isInteger(flags) || !isInteger(threads) || !isInteger(startTime))
    return undefined;
  return { comm: text.slice(open + 1, close), state, flags, threads, startTime };
}

function isInteger(value: number | undefined): value is number {
  return Number.isInteger(value);
}

/** True for a process that can't do anything any more: X, or Z without another living task. */
export function isGone(stat: ProcessStat): boolean {
  return stat.state === 'X' || stat.state === 'x' || (stat.state === 'Z' && stat.threads <= 1);
}

/** Arguments from `/proc/PID/cmdline`. */
export function parseCmdline(raw: string): string[] {
  const args = raw.split('\0');
  if (args.at(-1) === '') args.pop();
  return args;
}

const QEMU = /^(?:qemu-kvm|qemu-system-[A-Za-z0-9_]+)$/;

/** True if argv[0] or the executable is a qemu system emulator, deleted from disk or not. */
export function isQemu(argv0: string | undefined, exe: string | undefined): boolean {
  return [argv0, exe?.replace(/ \(deleted\)$/, '')].some(
    (path) => path !== undefined && QEMU.test(path.split('/').at(-1) ?? ''),
  );
}

/** A qemu by its command name alone: at most 15 characters of it are kept by the kernel. */
export function isQemuComm(comm: string): boolean {
  return comm === 'qemu-kvm' || comm.startsWith('qemu-system-');
}

/** What a qemu's arguments say about the VM and the run. */
export interface QemuArguments {
  vmUuid: string | undefined;
  guestName: string | undefined;
  epoch: number | null;
}

/** Reads uuid, guest name and run mark; values are whole arguments, never substrings (F20). */
export function parseQemuArguments(args: readonly string[]): QemuArguments {
  const found: QemuArguments = { vmUuid: undefined, guestName: undefined, epoch: null };
  for (const [i, option] of args.entries()) {
    const value = args[i + 1] ?? '';
    if (isOption(option, 'uuid') && isUuid(value)) found.vmUuid = dashed(value);
    if (isOption(option, 'name')) found.guestName = guestOf(value) ?? found.guestName;
    if (isOption(option, 'fw_cfg')) found.epoch = epochOf(value) ?? found.epoch;
  }
  return found;
}

function isOption(text: string, name: string): boolean {
  return text === `-${name}` || text === `--${name}`;
}

function guestOf(value: string): string | undefined {
  const parts = splitOptions(value);
  const guest = parts.find((part) => part.startsWith('guest='))?.slice('guest='.length);
  return guest ?? (parts[0]?.includes('=') === false ? parts[0] : undefined);
}

function epochOf(value: string): number | undefined {
  const parts = splitOptions(value);
  if (!parts.includes(`name=${RUN_MARK}`) && parts[0] !== RUN_MARK) return undefined;
  const text = parts.find((part) => part.startsWith('string='))?.slice('string='.length) ?? '';
  // Nothing that Fenceline ever wrote, and no epoch that could be told to others.
  return /^\d{1,15}$/.test(text) && Number(text) <= MAX_MARK ? Number(text) : undefined;
}

/** qemu's option lists: a comma separates, two are one literal comma. */
function splitOptions(value: string): string[] {
  return value
    .replaceAll(',,', '\0')
    .split(',')
    .map((part) => part.replaceAll('\0', ','));
}
