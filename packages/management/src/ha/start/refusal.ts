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

/** The manual ways out, as commands. */
export function waysOutOf(
  taskUuid: string,
  unproven: readonly Unproven[],
  nameOf: (hostUuid: string) => string,
): string[] {
  const hosts = [...new Set(unproven.map(({ run }) => nameOf(run.hostUuid)))];
  return [
    `fenceline task retry ${taskUuid}`,
    ...hosts.map((host) => `fenceline host confirm-dead ${host} --typed-name ${host} --reason '…'`),
    `fenceline task abandon ${taskUuid} --reason '…'`,
  ];
}
