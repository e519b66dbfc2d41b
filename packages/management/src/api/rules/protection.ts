import type { HaLevel, PowerReadiness, ReadyProof } from '@fenceline/protocol';
import { FENCE_SINCE_VERSION, isOlder } from '../../fencing/pickPeers.js';
import type { ChannelName, HaSettings } from '../../settings/settings.js';
import type { HostsTable } from '../../store/schema.js';

/** What is known of a host for the question who could fence it. */
export type HostFacts = Pick<
  HostsTable,
  | 'uuid'
  | 'name'
  | 'clusterUuid'
  | 'hypervisor'
  | 'status'
  | 'state'
  | 'liveness'
  | 'agentVersion'
  | 'hookWorking'
  | 'hookWhy'
> & {
  power: PowerReadiness;
  /** An "off" to its power has no known outcome: nothing is placed there; null: none has. */
  powerUnresolvedSince: string | null;
};

export interface VmFacts {
  level: HaLevel;
  hypervisor: string;
  stoppedByPerson: boolean;
  /** As it is shown. */
  state: string;
  /** A disk of it is written by io_uring: it became so after it was protected. */
  writtenByUring: boolean;
  /** Its open runs, named, where they are on more than one host. */
  runsTwice?: string | undefined;
  /** Where its open run is; undefined: nowhere. */
  host: HostFacts | undefined;
}

/** Why a host can't be asked to fence a sibling now; null if it can (F12, F15). */
export function whyNotPeer(host: HostFacts): string | null {
  if (host.hypervisor !== 'KVM') return `its hypervisor is ${host.hypervisor}`;
  if (host.status !== 'Connected') return `it is ${host.status}`;
  if (host.state !== 'Enabled') return `it is in state ${host.state}`;
  if (host.liveness !== 'online' && host.liveness !== 'late') return `it is ${host.liveness}`;
  if (isOlder(host.agentVersion ?? FENCE_SINCE_VERSION, FENCE_SINCE_VERSION))
    return `its agent (${host.agentVersion}) is too old to fence`;
  return null;
}

/** The siblings that could fence a host if it vanished now. */
export function peersOf(
  suspect: HostFacts,
  hosts: readonly HostFacts[],
  crossCluster: boolean,
): HostFacts[] {
  return hosts.filter(
    (host) =>
      host.uuid !== suspect.uuid &&
      (crossCluster || host.clusterUuid === suspect.clusterUuid) &&
      whyNotPeer(host) === null,
  );
}

/** D19: proofs that would work if this host vanished now; its own agent would be gone with it. */
export function readyProofs(
  suspect: HostFacts,
  hosts: readonly HostFacts[],
  preFence: { crossCluster: boolean; channels: readonly ChannelName[] },
): ReadyProof[] {
  const { channels, crossCluster } = preFence;
  const peer =
    channels.includes('peer') &&
    suspect.hypervisor === 'KVM' &&
    peersOf(suspect, hosts, crossCluster).length > 0;
  const power = channels.includes('power') && suspect.power === 'verified';
  return [...(peer ? (['peer'] as const) : []), ...(power ? (['power'] as const) : [])];
}

/** The settings that decide whether anything would be done at all. */
export type ProtectingSettings = Pick<HaSettings, 'mode' | 'preFence' | 'agentDown'>;

export interface Protection {
  protected: boolean;
  /** One sentence: by what, or why not. */
  text: string;
  proofs: ReadyProof[];
}

/**
 * Whether a VM would be brought back if its host failed now, and by which proofs (D19). What
 * depends on the host alone is judged once per host, as there are many VMs and hosts.
 */
export function protectionRule(
  hosts: readonly HostFacts[],
  ha: ProtectingSettings,
): (vm: VmFacts) => Protection {
  const known = new Map<string, HostJudged>();
  const judge = (host: HostFacts): HostJudged => {
    const judged = known.get(host.uuid) ?? {
      proofs: readyProofs(host, hosts, ha.preFence),
      hasDestination: hasDestination(host, hosts),
    };
    known.set(host.uuid, judged);
    return judged;
  };
  return (vm) => protectionOf(vm, vm.host === undefined ? undefined : judge(vm.host), ha);
}

interface HostJudged {
  proofs: ReadyProof[];
  hasDestination: boolean;
}

function protectionOf(
  vm: VmFacts,
  judged: HostJudged | undefined,
  ha: ProtectingSettings,
): Protection {
  const { host } = vm;
  const proofs = judged?.proofs ?? [];
  const no = (text: string): Protection => ({ protected: false, text, proofs });
  // safety: two writers destroy its disks right now; no proof of tomorrow outweighs that.
  if (vm.runsTwice !== undefined) return no(`two qemus may write to its disks: ${vm.runsTwice}`);
  if (vm.level === 'none') return no('its level is none');
  if (vm.stoppedByPerson) return no(whyStopped(vm));
  if (ha.mode !== 'active') return no(`ha.mode is ${ha.mode}`);
  // F21a: no sibling could prove it dead, and a person should know before it matters.
  if (vm.writtenByUring)
    return no("a disk of it is written by io_uring (io='native' can be proven)");
  if (host === undefined || judged === undefined) return no('it runs on no host');
  // Honest before it matters: without a storage heartbeat this setting decides what is done.
  if (ha.agentDown.withoutHeartbeat === 'alarm')
    return no('a silent host only raises an alarm (ha.agentDown.withoutHeartbeat is alarm)');
  if (host.liveness !== 'online' && host.liveness !== 'late')
    return no(`${host.name} is ${host.liveness}; its HA task tells more`);
  // F34: where it does not work, anybody can start the VM a second time.
  if (host.hookWorking !== 1) return no(whyNoHook(host));
  if (proofs.length === 0) return no(whyNoProof(host, ha.preFence.channels));
  if (!judged.hasDestination) return no('no other host of its cluster could take it');
  const by = proofs.map((proof) => (proof === 'peer' ? 'peer (while its SSH answers)' : proof));
  return { protected: true, text: `if ${host.name} failed: ${by.join(', ')}`, proofs };
}

/** One that runs all the same is nobody's wish; an alarm tells more. */
function whyStopped({ state }: VmFacts): string {
  if (state === 'Stopped') return 'a person stopped it';
  return `a person stopped it, but it is ${state}: HA leaves it alone until its host is seen`;
}

function whyNoHook({ name, hookWorking, hookWhy }: HostFacts): string {
  return hookWorking === null
    ? `whether the libvirt hook of ${name} works is not known`
    : `the libvirt hook of ${name} does not work: ${hookWhy}`;
}

function whyNoProof(host: HostFacts, channels: readonly ChannelName[]): string {
  const power = {
    none: 'it has no power device',
    unverified: 'its power device is not verified',
    verified: 'the power channel is switched off',
  }[host.power];
  const peer = channels.includes('peer')
    ? 'no sibling could fence it'
    : 'the peer channel is switched off';
  return `nothing could prove ${host.name} dead: ${peer}, ${power}`;
}

function hasDestination(host: HostFacts, hosts: readonly HostFacts[]): boolean {
  return hosts.some(
    (other) =>
      other.uuid !== host.uuid &&
      other.clusterUuid === host.clusterUuid &&
      other.status === 'Connected' &&
      other.state === 'Enabled' &&
      other.powerUnresolvedSince === null,
  );
}
