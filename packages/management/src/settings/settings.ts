import { Optional, problemsOf } from '@fenceline/protocol';
import { Type } from '@fenceline/protocol';
import {
  ArrayMaxSize,
  ArrayMinSize,
  ArrayUnique,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsNumber,
  Max,
  Min,
  ValidateNested,
} from 'class-validator';

export const PRE_FENCE_MODES = ['required', 'whenHinted'] as const;
/** Ways to a proof, smallest blast radius first. */
export const CHANNELS = ['peer', 'own-agent', 'mailbox', 'storage', 'power'] as const;
export type ChannelName = (typeof CHANNELS)[number];
/** Those behind which nothing stands yet. */
const NOT_YET: readonly ChannelName[] = ['mailbox', 'storage'];
export const HA_MODES = ['active', 'detect-only', 'disarmed'] as const;
export const UNREACHABLE_POLICIES = ['corroborated', 'never', 'single'] as const;
export const AGENT_DOWN_POLICIES = ['alarm', 'fence'] as const;

export class PreFenceSettings {
  /** `required`: peers are always asked; `whenHinted`: only if the message names siblings (F5). */
  @IsIn(PRE_FENCE_MODES) mode: (typeof PRE_FENCE_MODES)[number] = 'required';
  /** Whole call of a peer, seconds (F16). */
  @IsInt() @Min(1) @Max(300) sshTimeoutSec = 20;
  /** Signs of life and connecting together, milliseconds (F23). */
  @IsInt() @Min(100) @Max(60_000) connectTimeoutMs = 3_500;
  /** Peers of other clusters may be asked. */
  @IsBoolean() crossCluster = false;
  /** Between `virsh destroy` and SIGKILL, milliseconds. */
  @IsInt() @Min(0) @Max(60_000) killGraceMs = 300;
  /** One-time order tokens that each host holds for its siblings' orders; 0: none are asked for. */
  @IsInt() @Min(0) @Max(64) orderTokens = 16;
  /** Proof channels that may be used; their order is always that of blast radius. */
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(8)
  @ArrayUnique()
  @IsIn(CHANNELS, { each: true })
  channels: ChannelName[] = [...CHANNELS];
}

export class FenceLineSettings {
  /** Standing sessions to each host, from as many siblings; 0: none (F27). */
  @IsInt() @Min(0) @Max(8) perHost = 2;
}

export class DetectSettings {
  /** Agent → server stream, milliseconds. */
  @IsInt() @Min(100) @Max(60_000) heartbeatEveryMs = 1_000;
  /** Silence that makes a suspect, milliseconds; at least 3 heartbeats. */
  @IsInt() @Min(300) @Max(600_000) silentAfterMs = 3_000;
}

export class PowerSettings {
  /** Since the last sign of life, milliseconds. */
  @IsInt() @Min(0) @Max(600_000) afterMs = 4_000;
  /** One run of a fence-agents program, milliseconds. */
  @IsInt() @Min(1_000) @Max(300_000) commandTimeoutMs = 20_000;
}

export class UnreachableSettings {
  /** What the silence of a host towards its siblings is worth. */
  @IsIn(UNREACHABLE_POLICIES) policy: (typeof UNREACHABLE_POLICIES)[number] = 'corroborated';
  /** Siblings that must have found it unreachable; all of them where there are fewer. */
  @IsInt() @Min(1) @Max(5) minSiblings = 2;
}

export class AgentDownSettings {
  /** Server link down, no agent answers, no storage heartbeat configured: what to do. */
  @IsIn(AGENT_DOWN_POLICIES) withoutHeartbeat: (typeof AGENT_DOWN_POLICIES)[number] = 'alarm';
}

export class RestartSettings {
  /** Minutes before each attempt of an HA task, the first one included; the last one repeats. */
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(32)
  @IsNumber({}, { each: true })
  @Min(0, { each: true })
  backoffMin: number[] = [0, 2, 6, 14, 30];
  /** HA starts under way at one time in all. */
  @IsInt() @Min(1) @Max(10_000) inAll = 32;
  /** From the start command to "seen running", milliseconds. */
  @IsInt() @Min(1_000) @Max(600_000) startTimeoutMs = 60_000;
}

export class OperatorSettings {
  /** Since the last sign of life, seconds, before a person may confirm a host dead. */
  @IsInt() @Min(30) @Max(86_400) confirmDeadAfterSec = 120;
  /** A confirmation's life, seconds. */
  @IsInt() @Min(10) @Max(86_400) confirmDeadExpiresSec = 600;
}

export class HaSettings {
  @IsIn(HA_MODES) mode: (typeof HA_MODES)[number] = 'active';
  @ValidateNested() @Type(() => PreFenceSettings) preFence = new PreFenceSettings();
  @ValidateNested() @Type(() => FenceLineSettings) fenceLine = new FenceLineSettings();
  @ValidateNested() @Type(() => DetectSettings) detect = new DetectSettings();
  @ValidateNested() @Type(() => PowerSettings) power = new PowerSettings();
  @ValidateNested() @Type(() => UnreachableSettings) unreachable = new UnreachableSettings();
  @ValidateNested() @Type(() => AgentDownSettings) agentDown = new AgentDownSettings();
  @ValidateNested() @Type(() => RestartSettings) restart = new RestartSettings();
  @ValidateNested() @Type(() => OperatorSettings) operator = new OperatorSettings();
}

export class HostConnectSettings {
  /** Whole connect without its capacity step, seconds. */
  @IsInt() @Min(1) @Max(86_400) timeoutSec = 1_800;
}

export class HostReconnectSettings {
  /** Seconds before each automatic reconnect; the last one repeats. */
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(32)
  @IsNumber({}, { each: true })
  @Min(0, { each: true })
  backoffSec: number[] = [1, 2, 4, 8, 16, 32, 60];
}

export class HostSettings {
  @ValidateNested() @Type(() => HostConnectSettings) connect = new HostConnectSettings();
  @ValidateNested() @Type(() => HostReconnectSettings) reconnect = new HostReconnectSettings();
  /** Hosts without working KVM are accepted. */
  @IsBoolean() allowEmulation = false;
  /** Kept free on each host. */
  @IsInt() @Min(0) @Max(1_048_576) reserveMemoryMiB = 1_024;
  @IsInt() @Min(0) @Max(100) reserveCpuPercent = 5;
}

/** Every setting of the product: YAML path = API name. */
export class Settings {
  @Optional() @ValidateNested() @Type(() => HaSettings) ha = new HaSettings();
  @Optional() @ValidateNested() @Type(() => HostSettings) host = new HostSettings();
}

/** Relations between settings that must hold, each as a sentence with the numbers. */
export function settingsProblems(settings: Settings): string[] {
  const { heartbeatEveryMs, silentAfterMs } = settings.ha.detect;
  const problems = problemsOf(settings);
  if (silentAfterMs < 3 * heartbeatEveryMs)
    problems.push(
      `ha.detect.silentAfterMs (${silentAfterMs}) must be at least 3 heartbeats of ` +
        `ha.detect.heartbeatEveryMs (${heartbeatEveryMs}), or one lost packet accuses a host`,
    );
  return [...problems, ...preFenceProblems(settings.ha.preFence)];
}

/** Of an order's time, beside the grace: kill, looks, drain and answer at their quickest. */
const FENCE_WORK_MS = 1_000;
/** Of a call's time, before the suspect is dialled. */
const CALL_BEGIN_MS = 500;

/** safety: under settings that break one of these no fence can succeed, and nobody would be told. */
function preFenceProblems(preFence: PreFenceSettings): string[] {
  const { sshTimeoutSec, killGraceMs, connectTimeoutMs, channels } = preFence;
  const wholeMs = sshTimeoutSec * 1_000;
  const timeout = `ha.preFence.sshTimeoutSec (${sshTimeoutSec} s)`;
  const problems: string[] = [];
  if (killGraceMs + FENCE_WORK_MS > wholeMs)
    problems.push(
      `ha.preFence.killGraceMs (${killGraceMs} ms) must leave at least ${FENCE_WORK_MS} ms of ` +
        `${timeout} for the kill and the proof, or no fence ends in time`,
    );
  if (connectTimeoutMs + CALL_BEGIN_MS > wholeMs)
    problems.push(
      `ha.preFence.connectTimeoutMs (${connectTimeoutMs} ms) must be at least ${CALL_BEGIN_MS} ms ` +
        `less than ${timeout}, or no call can tell a silent host`,
    );
  if (channels.length > 0 && channels.every((each) => NOT_YET.includes(each)))
    problems.push(
      `ha.preFence.channels (${channels.join(', ')}) must name peer, own-agent or power, as nothing ` +
        `stands behind ${NOT_YET.join(' and ')} in this version and no run could be proven over`,
    );
  return problems;
}

/**
 * Settings that a cluster may have for itself: all that decides how its hosts are judged and
 * fenced. Each is read by the cluster of the host that it is about.
 */
export const CLUSTER_SETTINGS: readonly string[] = [
  'ha.mode',
  'ha.preFence.mode',
  'ha.preFence.channels',
  'ha.power.afterMs',
  'ha.unreachable.policy',
  'ha.unreachable.minSiblings',
  'ha.agentDown.withoutHeartbeat',
];

/** The settings in force now; read at each use, so that a change takes effect with the next. */
export interface SettingsSource {
  /** @param clusterUuid with what that cluster has for itself. */
  current(clusterUuid?: string): Settings;
}
