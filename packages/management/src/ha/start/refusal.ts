import type { ChannelResult } from '../../fencing/channels/channel.js';
import type { Run } from '../../vms/runs/run.js';

/** A run that no channel could prove over. */
export interface Unproven {
  run: Run;
  said: readonly ChannelResult[];
}

/** Names VM, its actual state, suspects, what each channel said, and what ends it (F8). */
export function refusalText(
  vm: { name: string; state: string },
  unproven: readonly Unproven[],
  nameOf: (hostUuid: string) => string,
): string {
  const parts = unproven.map(({ run, said }) => {
    const channels = said.map(({ channel, why }) => `${channel}: ${why}`).join('; ');
    return `run ${run.epoch} on ${nameOf(run.hostUuid)} is not proven over (${channels})`;
  });
  const hosts = [...new Set(unproven.map(({ run }) => nameOf(run.hostUuid)))].join(' and ');
  return (
    `VM ${vm.name} (${vm.state}) was not started: ${parts.join('; ')}. ` +
    `It ends when ${hosts} recovers, or by hand.`
  );
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
