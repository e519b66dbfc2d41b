import { IsIn, IsInt, IsNumber, Max, Min } from 'class-validator';
import { FenceLineState, MAX_LINES, MAX_ORDER_TOKENS } from './fenceLine.js';
import { List, NumberInQuery, Optional, Part, Text, Uuid } from './rules.js';
import { VmSeen } from './vm.js';

export class WatchCmd {
  /** Milliseconds between heartbeats that the server wishes. */
  @Optional() @NumberInQuery() @IsInt() @Min(100) @Max(60_000) heartbeatEveryMs?: number;
}

export const WATCH_KINDS = ['heartbeat', 'vm'] as const;
export type WatchKind = (typeof WATCH_KINDS)[number];

/** One line of `GET /host/watch` (D1): a heartbeat, or a VM event the moment libvirt reports it. */
export class WatchItem {
  @IsIn(WATCH_KINDS) kind: WatchKind = 'heartbeat';
  /** Grows by one with each item of this stream. */
  @IsInt() @Min(0) sequence = 0;
  @Text(64) agentInstance = '';
  @Text(64) bootId = '';
  @Text(32) agentVersion = '';
  @Optional() @Uuid() hostUuid?: string;
  /** Heartbeats: load average over one minute. */
  @Optional() @IsNumber() load1?: number;
  /** Heartbeats: the fence lines that this host keeps to others (F27). */
  @Optional() @List(() => FenceLineState, MAX_LINES) fenceLines?: FenceLineState[];
  /** Heartbeats: order tokens that this host holds (F29a). */
  @Optional() @IsInt() @Min(0) @Max(MAX_ORDER_TOKENS) orderTokens?: number;
  /** VM events: what is true now. */
  @Optional() @Part(() => VmSeen) vm?: VmSeen;
}
