import { addressOf, hostNames, maxHosts, type NodeName } from './names.js';

/** A file of a node, its place given as the node sees it. */
export interface NodeFile {
  readonly path: string;
  readonly text: string;
  /** Default 0644. */
  readonly mode?: number;
}

export interface HostIdentity {
  /** Dashed; libvirt's host uuid, and /etc/machine-id without the dashes. */
  readonly uuid: string;
}

/** Files of a node that the lab writes again at each boot; all else in /etc stays as the host left it. */
export function nodeFiles(node: NodeName, identity: HostIdentity): NodeFile[] {
  const common: NodeFile[] = [
    { path: '/etc/hostname', text: `${node}\n` },
    { path: '/etc/hosts', text: hostsFile() },
    // Empty: no name server, hence no delays from asking one.
    { path: '/etc/resolv.conf', text: '' },
    { path: '/etc/machine-id', text: `${identity.uuid.replaceAll('-', '')}\n` },
  ];
  if (node === 'sw' || node === 'mgr') return common;
  return [
    ...common,
    { path: '/etc/ssh/sshd_config', text: sshdConfig },
    { path: '/etc/libvirt/libvirtd.conf', text: libvirtdConfig(identity.uuid) },
    { path: '/etc/libvirt/qemu.conf', text: qemuConfig },
  ];
}

function hostsFile(): string {
  const nodes: NodeName[] = ['sw', 'mgr', ...hostNames(maxHosts)];
  const lines = nodes.map((node) => `${addressOf(node, 'management')} ${node}`);
  return ['127.0.0.1 localhost', ...lines, ''].join('\n');
}

/** Debian's defaults where they matter to a fence: PAM on, MaxStartups untouched. */
const sshdConfig = `Port 22
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM yes
PrintMotd no
UseDNS no
PidFile /run/sshd.pid
AcceptEnv LANG LC_*
Subsystem sftp /usr/lib/openssh/sftp-server
`;

function libvirtdConfig(uuid: string): string {
  return [
    'auth_unix_ro = "none"',
    'auth_unix_rw = "none"',
    'unix_sock_rw_perms = "0700"',
    // Without it all hosts have the machine's DMI uuid, and migration refuses.
    `host_uuid = "${uuid}"`,
    'log_outputs = "3:stderr"',
    '',
  ].join('\n');
}

/** A host without systemd, security driver, udev and virtlogd. */
const qemuConfig = `user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
namespaces = []
cgroup_controllers = []
stdio_handler = "file"
seccomp_sandbox = 0
`;
