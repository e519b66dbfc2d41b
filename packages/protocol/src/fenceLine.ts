import {
  ArrayMaxSize,
  ArrayMinSize,
  ArrayUnique,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsNumber,
  Matches,
  Min,
} from 'class-validator';
import { HostKeys } from './agentText.js';
import { Rsp } from './envelope.js';
import { ORDER_TOKEN, USER_NAME } from './fence.js';
import { Address, List, Optional, Port, required, Text, Uuid } from './rules.js';

/** How a standing session to a neighbour, with the fence program waiting in it, stands (F27). */
export const LINE_STATES = ['connecting', 'standing', 'broken', 'unsupported'] as const;
export type LineState = (typeof LINE_STATES)[number];

/** The ways to a host's fence program: a login by SSH, or the host's own door. */
export const LINE_WAYS = ['ssh', 'door'] as const;
export type LineWay = (typeof LINE_WAYS)[number];

/** Hosts that one host may keep standing sessions to. */
export const MAX_NEIGHBOURS = 64;
/** Each over every way. */
export const MAX_LINES = MAX_NEIGHBOURS * LINE_WAYS.length;

/** A host that this one keeps a fence line to, and how to log in there. */
export class FenceNeighbour {
  @Uuid() hostUuid = required<string>();
  @IsArray() @ArrayMinSize(1) @ArrayMaxSize(16) @Address({ each: true }) addresses: string[] = [];
  @Port() sshPort = 22;
  @Matches(USER_NAME, { message: '$property must be a user name' }) username = 'root';
  /** Pinned host keys, `ssh-ed25519 AAAA…`. */
  @ArrayMinSize(1) @HostKeys() hostKeys: string[] = [];
  /** TCP port of its door; absent: it has none. */
  @Optional() @Port() doorPort?: number;
}

/** One fence line as the host that keeps it sees it. */
export class FenceLineState {
  /** The neighbour. */
  @Uuid() hostUuid = required<string>();
  @IsIn(LINE_WAYS) way = required<LineWay>();
  @IsIn(LINE_STATES) state = required<LineState>();
  /** Milliseconds in this state. */
  @IsInt() @Min(0) forMs = required<number>();
  /** Of the last ping, milliseconds; absent: none was answered yet. */
  @Optional() @IsNumber() @Min(0) roundTripMs?: number;
  /** Milliseconds until the next try, if one is due. */
  @Optional() @IsInt() @Min(0) nextTryInMs?: number;
  /** Why it is not standing; one sentence part, no remote output. */
  @Optional() @Text(256) why?: string;
}

/** `POST /host/fence/lines`: exactly these neighbours from now on; safe to repeat. */
export class FenceLinesCmd {
  @List(() => FenceNeighbour, MAX_NEIGHBOURS) neighbours = required<FenceNeighbour[]>();
}

export class FenceLinesRsp extends Rsp {
  @List(() => FenceLineState, MAX_LINES) lines = required<FenceLineState[]>();
}

/** Order tokens that a host may hold. */
export const MAX_ORDER_TOKENS = 64;

/** `POST /host/fence/tokens`: order tokens are deposited; nothing ever reads them back. */
export class OrderTokensCmd {
  @IsArray()
  @ArrayMaxSize(MAX_ORDER_TOKENS)
  @ArrayUnique()
  @Matches(ORDER_TOKEN, { each: true, message: '$property must be 32 lower-case hex digits each' })
  tokens = required<string[]>();
  /** Every other token is taken away. */
  @IsBoolean() replace = required<boolean>();
}

export class OrderTokensRsp extends Rsp {
  /** Tokens that the host holds now. */
  @IsInt() @Min(0) held = required<number>();
}
