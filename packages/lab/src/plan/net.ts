import {
  addressOf,
  bridgeOf,
  deviceOf,
  macOf,
  portOf,
  type NetName,
  type NodeName,
} from './names.js';

/**
 * Lines for `ip -batch -`, run inside the network namespace of `sw`. Bridges get fixed addresses:
 * by default theirs is one of their ports', and changes when a host goes, which its neighbours do
 * not notice for half a minute.
 */
export function switchScript(): string {
  return (['management', 'storage'] as const)
    .flatMap((net) => [
      `link add ${bridgeOf[net]} address ${macOf('sw', net)} type bridge stp_state 0 forward_delay 0`,
      `addr add ${addressOf('sw', net)}/24 dev ${bridgeOf[net]}`,
      `link set ${bridgeOf[net]} up`,
    ])
    .join('\n');
}

/** The nets a node is plugged into. */
export function netsOf(node: NodeName): NetName[] {
  return node === 'mgr' ? ['management'] : ['management', 'storage'];
}

/** Cables from the switch to a node (`pid`: its pid 1 as the machine counts); `cut` nets stay loose. */
export function cableScript(node: NodeName, pid: number, cut: ReadonlySet<NetName>): string {
  return netsOf(node)
    .flatMap((net) => [
      `link add ${portOf(node, net)} type veth peer name ${deviceOf[net]} ` +
        `address ${macOf(node, net)} netns ${pid}`,
      ...(cut.has(net) ? [] : [plugScript(node, net)]),
      `link set ${portOf(node, net)} up`,
    ])
    .join('\n');
}

/** Takes a node's cables away; the kernel does so itself, but some time after the node has ended. */
export function uncableScript(node: NodeName): string {
  return netsOf(node)
    .map((net) => `link del ${portOf(node, net)}`)
    .join('\n');
}

export function plugScript(node: NodeName, net: NetName): string {
  return `link set ${portOf(node, net)} master ${bridgeOf[net]}`;
}

/** A silent cut: the device keeps its carrier, packets and ARP questions vanish. */
export function unplugScript(node: NodeName, net: NetName): string {
  return `link set ${portOf(node, net)} nomaster`;
}

/** Lines for `ip -batch -`, run inside the network namespace of the node. */
export function addressScript(node: NodeName): string {
  return netsOf(node)
    .flatMap((net) => [
      `addr add ${addressOf(node, net)}/24 dev ${deviceOf[net]}`,
      `link set ${deviceOf[net]} up`,
    ])
    .join('\n');
}
