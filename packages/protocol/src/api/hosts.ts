import {
  ArrayMaxSize,
  ArrayMinSize,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsNumber,
  IsString,
  Matches,
  MaxLength,
  Min,
  MinLength,
} from 'class-validator';
import {
  Address,
  List,
  Nullable,
  Optional,
  Part,
  Port,
  required,
  rule,
  Text,
  Uuid,
} from '../rules.js';
import { LINE_STATES, LINE_WAYS, type LineState, type LineWay } from '../fenceLine.js';
import { NewName, Page, PageQuery, Reason, Ref, Time } from './rules.js';
import {
  HOST_STATES,
  HOST_STATUSES,
  LIVENESSES,
  type HostState,
  type HostStatus,
  type Liveness,
} from './values.js';

/** What may be told of a power device: never its parameters (F28). */
export class PowerDeviceView {
  @Text(1_024) agent = required<string>();
  /** When a drill last saw that it feeds exactly this host; null: not proven. */
  @Nullable() @Time() verifiedAt: string | null = null;
}

/** A host by uuid and name. */
export class HostRefView {
  @Uuid() uuid = required<string>();
  @Text(256) name = required<string>();
}

/** A sibling that could fence a host now. */
export class FencerView extends HostRefView {
  /** Its fence line to that host; null: it keeps none, and would log in anew. */
  @Nullable() @IsIn(LINE_STATES) line: LineState | null = null;
  /** The ways over which one stands, the one that is used first at the beginning. */
  @IsArray() @IsIn(LINE_WAYS, { each: true }) ways = required<LineWay[]>();
  /** Of the last ping on that line, milliseconds. */
  @Nullable() @IsNumber() @Min(0) roundTripMs: number | null = null;
}

export const LOGIN_KINDS = ['password', 'privateKey'] as const;
export type LoginKind = (typeof LOGIN_KINDS)[number];

/** One way to cut a host off: all of its devices together. */
export class PowerLevelView {
  /** From 1; lower ones are tried first. */
  @IsInt() @Min(1) level = required<number>();
  /** Each was seen to feed this host; only then the level is used. */
  @IsBoolean() verified = required<boolean>();
  @List(() => PowerDeviceView) devices = required<PowerDeviceView[]>();
}

export class HostView {
  @Uuid() uuid = required<string>();
  @Text(256) name = required<string>();
  @Uuid() clusterUuid = required<string>();
  @Text(256) clusterName = required<string>();
  @Text(64) hypervisor = required<string>();
  @IsArray() @Address({ each: true }) addresses = required<string[]>();
  @Port() agentPort = required<number>();
  @Port() sshPort = required<number>();
  @Text(64) sshUsername = required<string>();
  @IsIn(HOST_STATUSES) status = required<HostStatus>();
  @IsIn(HOST_STATES) state = required<HostState>();
  @IsIn(LIVENESSES) liveness = required<Liveness>();
  /** One sentence: why it is judged so. */
  @Text() livenessReason = required<string>();
  @Nullable() @Time() quarantinedUntil: string | null = null;
  @Nullable() @Text(64) bootId: string | null = null;
  @Nullable() @Text(32) agentVersion: string | null = null;
  @Nullable() @IsInt() cpus: number | null = null;
  @Nullable() @IsInt() memoryMiB: number | null = null;
  @Nullable() @Time() lastSignOfLifeAt: string | null = null;
  /** Reconnects that have ended, well or not: whoever asked for one sees the number grow. */
  @IsInt() @Min(0) reconnectsEnded = required<number>();
  /** Why the last connect or reconnect failed; null if it did not. */
  @Nullable() @Text() connectFailure: string | null = null;
  /**
   * libvirt there refuses starts by hand of protected VMs; null: not known, as its agent was never
   * heard of it or is not connected.
   */
  @Nullable() @IsBoolean() hookWorking: boolean | null = null;
  /** Why it does not; empty if it does. */
  @Text(512) hookWhy = '';
  /** The first device of the first level; null: there is none. */
  @Nullable() @Part(() => PowerDeviceView) powerDevice: PowerDeviceView | null = null;
  @List(() => PowerLevelView) powerLevels = required<PowerLevelView[]>();
  /** Since when the outcome of an "off" to its power is not known: nothing is placed there; null: none. */
  @Nullable() @Time() powerUnresolvedSince: string | null = null;
  /** Siblings that could fence it now, those with a line first; the first 16. */
  @List(() => FencerView, 16) canBeFencedBy = required<FencerView[]>();
  /** Since when it has had no standing fence line, if that has lasted; null: it has, or needs none. */
  @Nullable() @Time() noFenceLineSince: string | null = null;
  /** Order tokens that it holds, as it says; null: it does not say. */
  @Nullable() @IsInt() @Min(0) orderTokens: number | null = null;
  /** A login is stored for siblings whose key the host does not know; null: none. */
  @Nullable() @IsIn(LOGIN_KINDS) login: LoginKind | null = null;
  /** Runs of VMs there that are not proven over. */
  @IsInt() @Min(0) openRuns = required<number>();
  @Time() createdAt = required<string>();
}

export class HostPage extends Page {
  @List(() => HostView) items = required<HostView[]>();
}

export class ListHostsRequest extends PageQuery {
  @Optional() @Ref() cluster?: string;
  @Optional() @IsIn(HOST_STATUSES) status?: HostStatus;
  @Optional() @IsIn(HOST_STATES) state?: HostState;
  @Optional() @IsIn(LIVENESSES) liveness?: Liveness;
}

/** A host by uuid or name. */
export class HostRequest {
  @Ref() host = required<string>();
}

export class HostReasonRequest extends HostRequest {
  /** For the audit. */
  @Optional() @Reason() reason?: string;
}

const PARAMETER = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/;

const MAX_PARAMETERS = 64;

/** What is wrong with the parameters of a device; empty: nothing. Names them, never a value (F28). */
function parameterProblems(value: unknown): string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return ['must map names of parameters to texts'];
  const entries = Object.entries(value);
  if (entries.length > MAX_PARAMETERS) return [`must be at most ${MAX_PARAMETERS}`];
  return entries.flatMap(([name, text]) => {
    // A password whose space after the colon is missing is a name, too.
    if (!PARAMETER.test(name)) return ['a name has characters that are not allowed'];
    if (typeof text !== 'string')
      return [`${name} must be a text: quote its value, as in ${name}: "1"`];
    return isOneLine(text) ? [] : [`${name} must be one line of at most 1024 characters`];
  });
}

/** fence-agents read `name=value` lines: a line break in a value would be another parameter. */
function isOneLine(text: string): boolean {
  return text.length <= 1_024 && !/[\r\n\0]/.test(text);
}

export class NewPowerDeviceRequest {
  /** A fence-agents program: a name in PATH or an absolute path. */
  @Matches(/^(?:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|\/[A-Za-z0-9_./-]{1,1000})$/, {
    message: '$property must be the name of a fence-agents program or an absolute path',
  })
  agent = required<string>();
  /** Its parameters by name; secret: stored, never shown again. */
  @rule('areParameters', (value) => parameterProblems(value).join('; '), {
    holds: (value) => parameterProblems(value).length === 0,
  })
  parameters = required<Record<string, string>>();
}

export class NewPowerLevelRequest {
  /** All of them must be off for the host to be off: one for each of its supplies. */
  @ArrayMinSize(1)
  @List(() => NewPowerDeviceRequest, 8)
  devices = required<NewPowerDeviceRequest[]>();
}

export class SetHostPowerRequest extends HostReasonRequest {
  /** In the order in which they are tried; none: the host has no power device any more. */
  @List(() => NewPowerLevelRequest, 9) levels = required<NewPowerLevelRequest[]>();
}

export class VerifyHostPowerRequest extends HostReasonRequest {
  /** Only this one; absent: all. */
  @Optional() @IsInt() @Min(1) level?: number;
}

export class AddHostRequest {
  @NewName() name = required<string>();
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(16)
  @Address({ each: true })
  addresses = required<string[]>();
  @Port() agentPort = 7070;
  @Port() sshPort = 22;
  @Matches(/^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/, { message: '$property must be a login name' })
  sshUsername = 'root';
  /** Uuid or name; absent: the default cluster. */
  @Optional() @Ref() cluster?: string;
  @Optional() @Part(() => NewPowerDeviceRequest) powerDevice?: NewPowerDeviceRequest;
}

export class ConfirmDeadRequest extends HostRequest {
  /** The host's name, typed by a person. */
  @IsString() @MinLength(1) @MaxLength(256) typedName = required<string>();
  @Reason() reason = required<string>();
}

export class ConfirmDeadView {
  @Uuid() hostUuid = required<string>();
  /** VMs whose open run there is now covered by the confirmation. */
  @IsArray() @Uuid({ each: true }) vmUuids = required<string[]>();
  @Time() expiresAt = required<string>();
}

export class PowerVerifiedView {
  @Uuid() hostUuid = required<string>();
  @Time() verifiedAt = required<string>();
}

export class RotateKeyRequest extends HostReasonRequest {
  /** Also if a sibling can't be told: the host can't fence that one until it is connected again. */
  @IsBoolean() force = false;
}

/** Text of a file that holds a private key: PEM, OpenSSH's form, or PuTTY's. */
export function isPrivateKey(text: string): boolean {
  return (
    /-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----\s[^]+\s-----END \1-----/.test(text) ||
    /^PuTTY-User-Key-File-\d: [^]+\nPrivate-MAC: /.test(text)
  );
}

/** How siblings log in to a host that has no entry for their keys; secret: stored, never shown. */
export class SetLoginRequest extends HostReasonRequest {
  @IsIn(LOGIN_KINDS) kind = required<LoginKind>();
  /** The password, or the private key as its file has it (`isPrivateKey`). */
  @IsString() @MinLength(1) @MaxLength(16_384) secret = required<string>();
  /** Of the private key. */
  @Optional() @IsString() @MinLength(1) @MaxLength(1_024) passphrase?: string;
}

export class KeyRotatedView {
  @Uuid() hostUuid = required<string>();
  /** The new one. */
  @Text(512) fencePublicKey = required<string>();
  /** Names of siblings that let the former key in until they can be told. */
  @IsArray() @IsString({ each: true }) untold = required<string[]>();
}

/** Something that has been taken away. */
export class RemovedView {
  @Uuid() uuid = required<string>();
}
