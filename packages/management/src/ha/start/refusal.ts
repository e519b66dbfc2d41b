import type { ChannelResult } from '../../fencing/channels/channel.js';
import { NOT_AVAILABLE } from '../../fencing/channels/race.js';
import type { Run } from '../../vms/runs/run.js';

/** A run that no channel could prove over. */
export interface Unproven {
  run: Run;
  said: readonly ChannelResult[];
  /** Why it was given up before every channel had its say. */
  calledOff?: string | undefined;
}

/** Names VM, its actual state, suspects, what each channel said, and what ends it (F8). */
export function refusalText(
  vm: { name: string; state: string },
  unproven: readonly Unproven[],
  nameOf: (hostUuid: string) => string,
): string {
  const parts = unproven.map(({ run, said }) => {
    const channels = channelsText(said);
    return `run ${run.epoch} on ${nameOf(run.hostUuid)} is not proven over (${channels})`;
  });
  const hosts = [...new Set(unproven.map(({ run }) => nameOf(run.hostUuid)))].join(' and ');
  return (
    `VM ${vm.name} (${vm.state}) was not started: ${parts.join('; ')}. ` +
    `It ends when ${hosts} recovers, or by hand.`
  );
}

/** Channels with nothing behind them yet are told in one breath, last. */
function channelsText(said: readonly ChannelResult[]): string {
  const absent = said.filter(({ why }) => why === NOT_AVAILABLE).map(({ channel }) => channel);
  const parts = said
    .filter(({ why }) => why !== NOT_AVAILABLE)
    .map(({ channel, why }) => `${channel}: ${why}`);
  return [
    ...parts,
    ...(absent.length === 0 ? [] : [`${absent.join(', ')}: ${NOT_AVAILABLE}`]),
  ].join('; ');
}

/** What the ways out depend on. */
export interface WaysOut {
  nameOf: (hostUuid: string) => string;
  /** Seconds in which the host must show no sign of life before a person's word counts; 0: it may now. */
  silenceLeftSec: (hostUuid: string) => number;
}

/** The manual ways out, as commands, with what must be so before. */
export function waysOutOf(
  taskUuid: string,
  unproven: readonly Unproven[],
  { nameOf, silenceLeftSec }: WaysOut,
): string[] {
  const hosts = [...new Set(unproven.map(({ run }) => run.hostUuid))];
  const confirm = (hostUuid: string): string => {
    const name = nameOf(hostUuid);
    const command = `fenceline host confirm-dead ${name} --typed-name ${name} --reason '…'`;
    const leftSec = silenceLeftSec(hostUuid);
    // Refused as long as its kernel answers, which it may do for ever.
    return leftSec === 0
      ? command
      : `switch ${name} off, and after ${leftSec} s without a sign of life: ${command}`;
  };
  return [
    `fenceline task retry ${taskUuid}`,
    ...hosts.map(confirm),
    `fenceline task abandon ${taskUuid} --reason '…'`,
  ];
}
