import {
  ArrayMaxSize,
  ArrayMinSize,
  IsArray,
  IsIn,
  IsInt,
  IsIP,
  IsOptional,
  IsString,
  Max,
  MaxLength,
  Min,
  MinLength,
  ValidateNested,
} from 'class-validator';
import { Type } from 'class-transformer';
import type { LogLevel } from '@fenceline/common';
import { Address, Port } from '@fenceline/protocol';

const PATH_MAX = 4_096;

/** Where the agent listens. */
export class AgentSection {
  /** TCP port of the agent's HTTPS. */
  @Port() port = 7070;
  /** Addresses to listen on. */
  @IsArray() @ArrayMinSize(1) @ArrayMaxSize(16) @Address({ each: true }) listen: string[] = [
    '0.0.0.0',
  ];
}

/** PEM files of the agent's TLS identity; the CA decides who may call. */
export class TlsSection {
  @IsString() @MinLength(1) @MaxLength(PATH_MAX) ca = '/etc/fenceline/tls/ca.pem';
  @IsString() @MinLength(1) @MaxLength(PATH_MAX) cert = '/etc/fenceline/tls/agent.pem';
  @IsString() @MinLength(1) @MaxLength(PATH_MAX) key = '/etc/fenceline/tls/agent.key';
}

/** What others are told about this host, and how siblings get in. */
export class HostSection {
  /** Addresses at which others reach this host; empty: all of its own but loopback. */
  @IsArray() @ArrayMaxSize(16) @Address({ each: true }) addresses: string[] = [];
  /** Gets the siblings' restricted entries. */
  @IsString() @MinLength(1) @MaxLength(PATH_MAX) authorizedKeys = '/root/.ssh/authorized_keys';
  /** Holds the `ssh_host_*_key.pub` of this host's sshd. */
  @IsString() @MinLength(1) @MaxLength(PATH_MAX) sshKeyDir = '/etc/ssh';
}

/** The second way in for siblings: a TLS port of its own in front of the fence program (F27). */
export class FenceDoorSection {
  /** TCP port; 0: no door. */
  @IsInt() @Min(0) @Max(65_535) port = 7071;
  /** Address to listen on; absent: the agent's, if it has one only, else every address. */
  @IsOptional() @IsIP() listen?: string = undefined;
}

/** How libvirt is asked, and where its things are. */
export class LibvirtSection {
  @IsString() @MinLength(1) @MaxLength(256) uri = 'qemu:///system';
  @IsString() @MinLength(1) @MaxLength(PATH_MAX) virsh = 'virsh';
  /** Limit of one question, milliseconds; a hung libvirt costs no more than that. */
  @IsInt() @Min(500) @Max(60_000) timeoutMs = 5_000;
  /** Where its daemon writes its pid; the first that names a living one counts. */
  @IsArray() @ArrayMaxSize(8) @IsString({ each: true }) pidFiles: string[] = [
    '/run/virtqemud.pid',
    '/run/libvirtd.pid',
  ];
  /** Its records of the VMs that run. */
  @IsString() @MinLength(1) @MaxLength(PATH_MAX) statusDir = '/run/libvirt/qemu';
  /** Its folder of hooks for qemu. */
  @IsString() @MinLength(1) @MaxLength(PATH_MAX) hookDir = '/etc/libvirt/hooks/qemu.d';
  /** Between two probes of the hook, seconds. */
  @IsInt() @Min(1) @Max(3_600) hookProbeSec = 60;
}

export class LogSection {
  @IsIn(['debug', 'info', 'warn', 'error']) level: LogLevel = 'info';
  /** Also to this file, if named; standard error always. */
  @IsOptional() @IsString() @MaxLength(PATH_MAX) file?: string = undefined;
}

/** `/etc/fenceline/agent.yaml`. */
export class AgentConfig {
  @ValidateNested() @Type(() => AgentSection) agent = new AgentSection();
  @ValidateNested() @Type(() => TlsSection) tls = new TlsSection();
  @ValidateNested() @Type(() => HostSection) host = new HostSection();
  @ValidateNested() @Type(() => FenceDoorSection) fenceDoor = new FenceDoorSection();
  @ValidateNested() @Type(() => LibvirtSection) libvirt = new LibvirtSection();
  @ValidateNested() @Type(() => LogSection) log = new LogSection();
  /** Survives a reboot: identity, fence key, begun epochs, barriers, the fence program. */
  @IsString() @MinLength(1) @MaxLength(PATH_MAX) stateDir = '/var/lib/fenceline/agent';
  /** Must not survive a reboot (tmpfs): runs, grants, barriers of this boot. */
  @IsString() @MinLength(1) @MaxLength(PATH_MAX) runDir = '/run/fenceline';
}

/** Relations between settings, as sentences; empty if all hold. */
export function relationProblems(config: AgentConfig): string[] {
  const relative = [
    ['stateDir', config.stateDir],
    ['runDir', config.runDir],
    ['host.authorizedKeys', config.host.authorizedKeys],
    ['libvirt.statusDir', config.libvirt.statusDir],
    ['libvirt.hookDir', config.libvirt.hookDir],
    ...config.libvirt.pidFiles.map((file) => ['libvirt.pidFiles', file]),
  ].filter(([, path]) => path?.startsWith('/') === false);
  const problems = relative.map(([name]) => `${name}: an absolute path is needed`);
  const shared = [
    ['stateDir', config.stateDir],
    ['runDir', config.runDir],
    ['libvirt.uri', config.libvirt.uri],
  ] as const;
  // The installed fence program carries them in its text.
  for (const [name, value] of shared)
    if (!/^[A-Za-z0-9_.:/+@-]+$/.test(value))
      problems.push(`${name}: only letters, digits and _ . : / + @ - are allowed`);
  if (config.fenceDoor.port === config.agent.port)
    problems.push('fenceDoor.port must not be agent.port: the door outlives the agent');
  if (config.stateDir === config.runDir)
    problems.push('stateDir and runDir must differ: what is in runDir must not survive a reboot');
  return problems;
}
