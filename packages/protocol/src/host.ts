import {
  ArrayMaxSize,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsString,
  Max,
  MaxLength,
  Min,
} from 'class-validator';
import { FenceKey, HostKeys } from './agentText.js';
import { Rsp } from './envelope.js';
import { Address, Epoch, List, Optional, required, Port, Text, Uuid } from './rules.js';

/** A sibling whose fence key a host lets in. */
export class SiblingKey {
  @Uuid() hostUuid = '';
  /** The sibling's addresses: the key is accepted from these only (F29). */
  @IsArray() @ArrayMaxSize(16) @Address({ each: true }) addresses: string[] = [];
  @FenceKey() fencePublicKey = '';
}

/** The highest epoch of one VM that the server ever sent to this host, from its ledger of runs. */
export class KnownRun {
  @Uuid() vmUuid = '';
  @Epoch() epoch = required<number>();
}

/** `POST /host/connect`: makes a host part of its cluster; safe to repeat. */
export class ConnectHostCmd {
  @Uuid() hostUuid = '';
  @Uuid() serverUuid = '';
  @Text(32) serverVersion = '';
  @List(() => SiblingKey, 1_024) siblings = required<SiblingKey[]>();
  /**
   * What the ledger knows of this host, also if that is nothing (`[]`). A new agent, or one that
   * lost its state directory, refuses starts until a connect has brought it (F11); others ignore it.
   */
  @Optional()
  @List(() => KnownRun, 8_192)
  runs?: KnownRun[];
  /** Orders of siblings need a token of this host's (F29a); absent: they need none. */
  @Optional() @IsBoolean() orderTokens?: boolean;
}

export class ConnectHostRsp extends Rsp {
  @Text(64) agentInstance = '';
  @Text(32) agentVersion = '';
  @Text(64) bootId = '';
  /** This host's own fence key, public half; its siblings are sent it. */
  @FenceKey() fencePublicKey = '';
  /** Its sshd's host keys, `type base64`, to be pinned; whoever is to fence it is sent them. */
  @HostKeys() sshHostKeys: string[] = [];
  @IsArray() @Address({ each: true }) addresses: string[] = [];
  /** False: this host has no record of its past, and refuses starts until `runs` came (F11). */
  @Optional() @IsBoolean() seeded?: boolean;
  /** TCP port of its door, the second way to its fence program (F27); absent: it has none. */
  @Optional() @Port() doorPort?: number;
}

export const FENCE_KEY_STEPS = ['prepare', 'switch'] as const;
export type FenceKeyStep = (typeof FENCE_KEY_STEPS)[number];

/**
 * `POST /host/fence/key`: a new fence key in two steps. Between them its siblings are told the
 * prepared key, so that at no moment the host uses one that they don't know.
 */
export class FenceKeyCmd {
  @IsIn(FENCE_KEY_STEPS) step = required<FenceKeyStep>();
  /** To switch to: the prepared key, so that a lost answer can't make it another one. */
  @Optional() @FenceKey() fencePublicKey?: string;
}

export class FenceKeyRsp extends Rsp {
  /** The key in use. */
  @FenceKey() fencePublicKey = required<string>();
  /** The key that is to follow. */
  @Optional() @FenceKey() nextFencePublicKey?: string;
}

/** `POST /host/echo`: does an agent answer here? */
export class EchoCmd {
  @Text(128) nonce = '';
}

export class EchoRsp extends Rsp {
  @Text(128) nonce = '';
  @Optional() @Uuid() hostUuid?: string;
}

export class PingCmd {}

export class PingRsp extends Rsp {
  @Text(64) agentInstance = '';
  @Text(32) agentVersion = '';
  @IsInt() @Min(1) protocolVersion = required<number>();
  @Text(64) bootId = '';
  @Optional() @Uuid() hostUuid?: string;
}

export class FactsCmd {}

export class FactsRsp extends Rsp {
  @Text(256) hostname = '';
  @Text(64) bootId = '';
  @Text(64) pidNamespace = '';
  @Text(64) libvirtVersion = '';
  @Text(64) qemuVersion = '';
  @Text(256) cpuModel = '';
  /** vmx or svm in the CPU's flags. */
  @IsBoolean() cpuVirtualization = false;
  /** /dev/kvm can be opened. Not enough to say that guests run: see `host.allowEmulation`. */
  @IsBoolean() kvmDevice = false;
  @IsArray() @Address({ each: true }) addresses: string[] = [];
  @HostKeys() sshHostKeys: string[] = [];
}

export class CapacityCmd {}

export class CapacityRsp extends Rsp {
  @IsInt() @Min(1) cpus = required<number>();
  @IsInt() @Min(1) memoryMiB = required<number>();
  @IsInt() @Min(0) memoryAvailableMiB = required<number>();
}

/** What a sibling can see of a suspect (D4). */
export const SCAN_LEVELS = ['agent', 'kernel', 'nothing'] as const;
export type ScanLevel = (typeof SCAN_LEVELS)[number];

/** `POST /ha/scanhost`: look at a suspect from here. */
export class ScanHostCmd {
  @Uuid() targetHostUuid = '';
  @IsArray() @ArrayMaxSize(16) @Address({ each: true }) targetAddresses: string[] = [];
  @Port() targetAgentPort = 7070;
  @Port() targetHostSshPort = 22;
  /** Whole scan, milliseconds. */
  @IsInt() @Min(100) @Max(60_000) timeoutMs = 1_000;
  @IsInt() @Min(1) @Max(100) attempts = 2;
}

export class ScanHostRsp extends Rsp {
  /** Best thing that answered: an agent's echo, only kernel or sshd, nothing. */
  @IsIn(SCAN_LEVELS) level = required<ScanLevel>();
  /** Some attempts answered and some did not. */
  @IsBoolean() unstable = false;
  /** What showed the suspect acting (`tcp:22 refused`, `icmp`, `neighbour reachable` …). */
  @IsArray() @IsString({ each: true }) @MaxLength(128, { each: true }) signsOfLife: string[] = [];
}
