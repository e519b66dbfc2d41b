import type { Meanings } from './configurationPage.ts';

const tls = (who: string, bearer: string): Meanings => ({
  [`${who}.ca`]: 'PEM file of the CA that signed the certificates of the other side.',
  [`${who}.cert`]: `PEM file of the certificate ${bearer}.`,
  [`${who}.key`]: 'PEM file of its private key.',
});

/** `/etc/fenceline/server.yaml` */
export const serverMeanings: Meanings = {
  'server.address': 'Where the API listens; `::` is every address of the machine.',
  'server.port': 'Port of the API.',
  stateDir: 'Database and lock. On a local disk, for one server only.',
  ...tls('tls.api', 'that people and programs see which call the API'),
  ...tls('tls.agents', 'that agents see; its subject bears `OU=server`'),
  'log.level': 'What is logged.',
  'log.file': 'Besides standard error; empty: no file.',
  'ha.mode':
    'With `detect-only` and `disarmed` hosts are judged and alarms are told, but no VM is fenced or brought back by itself; open tasks wait. What was set by command or for a cluster can be more careful than the file, never less.',
  'ha.preFence.mode':
    'Whether peers are always asked, or only if vetted siblings are named. Neither starts anything without proof.',
  'ha.preFence.sshTimeoutSec': "A peer's whole fence call.",
  'ha.preFence.connectTimeoutMs':
    'Connecting to a suspect and signs of life together; at least 500 ms less than `ha.preFence.sshTimeoutSec`.',
  'ha.preFence.crossCluster': 'Hosts of other clusters may fence, too.',
  'ha.preFence.killGraceMs':
    'Between `virsh destroy` and SIGKILL; must leave at least 1,000 ms of `ha.preFence.sshTimeoutSec`.',
  'ha.preFence.orderTokens':
    'One-time tokens that each host holds for orders of its siblings, renewed after use; a stolen fence key alone kills nothing. 0: none are asked for. A change from or to 0 is in force on a host with its next connect (`fenceline host reconnect`).',
  'ha.preFence.channels':
    'Ways to a proof that may be used. They run side by side, and the first valid proof wins; the order is always that of blast radius. `mailbox` and `storage` may be named, but are not available in this version, so that one of the others must be named, too.',
  'ha.fenceLine.perHost':
    'Standing sessions to each host, kept by as many of its siblings, so that it can be fenced where a new login is impossible. 0: none.',
  'ha.detect.heartbeatEveryMs': 'Heartbeats from agent to server.',
  'ha.detect.silentAfterMs':
    'Silence that makes a suspect; at least three heartbeats, or the server does not start.',
  'ha.power.afterMs': 'Silence since the last sign of life before a host is switched off.',
  'ha.power.commandTimeoutMs': 'One run of a fence-agents program.',
  'ha.unreachable.policy':
    "What it is worth that siblings find nothing of a host: proof if its self-fencer's record on shared storage says so (`corroborated`; there are no such records yet), nothing (`never`), or proof by itself (`single`: dangerous, a permanent alarm).",
  'ha.unreachable.minSiblings':
    'So many siblings must have found it unreachable, or all where there are fewer.',
  'ha.agentDown.withoutHeartbeat':
    'What a silent host leads to while no storage heartbeat exists. With `alarm` nobody is fenced without a person.',
  'ha.restart.backoffMin':
    'Delays of the attempts of one HA task: the first value before the first one, the last repeats. A change of the cluster begins anew.',
  'ha.restart.inAll': 'HA starts at one time in all.',
  'ha.restart.startTimeoutMs':
    'The start command, and then once more until the VM is seen running.',
  'ha.operator.confirmDeadAfterSec': 'Silence before a person may confirm a host dead.',
  'ha.operator.confirmDeadExpiresSec': 'How long such a word may be used.',
  'host.connect.timeoutSec': 'A connect, without its capacity check (which has 30 minutes).',
  'host.reconnect.backoffSec': 'Pauses before automatic reconnects; the last repeats.',
  'host.allowEmulation': 'Hosts without working KVM are accepted.',
  'host.reserveMemoryMiB': 'Kept free on each host by placement.',
  'host.reserveCpuPercent': 'A host must have more CPU than this reserve to be connected.',
};

/** `/etc/fenceline/agent.yaml` */
export const agentMeanings: Meanings = {
  'agent.port': "Port of the agent's HTTPS.",
  'agent.listen': 'Addresses to listen on, 1 to 16.',
  ...tls('tls', 'of this host; its subject bears `OU=sibling`'),
  'host.addresses':
    'Addresses at which others reach this host, at most 16; empty: all of its own but loopback.',
  'host.authorizedKeys': "Gets the siblings' restricted entries; other people's lines stay.",
  'host.sshKeyDir': "Holds the `ssh_host_*_key.pub` of this host's sshd.",
  'fenceDoor.port':
    'TCP port of the second way in for siblings (F27); it outlives the agent. 0: no such way.',
  'fenceDoor.listen':
    'IP address that it listens on; absent: that of the agent if it has one only, else all (`::`).',
  'libvirt.uri': 'Leave it: other drivers and other hosts’ libvirt are not supported.',
  'libvirt.virsh': 'The program.',
  'libvirt.timeoutMs': 'One question to libvirt.',
  'libvirt.pidFiles':
    "Where libvirt's daemon writes its pid; the first that names a living `libvirtd` or `virtqemud` counts.",
  'libvirt.statusDir': "libvirt's own records of the VMs that run.",
  'libvirt.hookDir': 'Where libvirt looks for hooks of qemu; the agent puts `50-fenceline` there.',
  'libvirt.hookProbeSec':
    'Between two probes of the hook. While it does not work, five seconds at most.',
  'log.level': 'What is logged.',
  'log.file': 'Besides standard error.',
  stateDir:
    'Survives a reboot: identity, fence key, begun epochs, barriers, the fence program, the protected VMs. Siblings’ entries in `authorized_keys` and the hook carry it.',
  runDir:
    'On a tmpfs, gone with the boot: runs, grants, barriers, the fence program. Siblings’ entries in `authorized_keys` and the hook carry it.',
};
