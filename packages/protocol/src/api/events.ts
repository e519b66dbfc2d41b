import { Equals, IsIn, IsInt, IsObject, Min } from 'class-validator';
import {
  BooleanInQuery,
  List,
  Nullable,
  NumberInQuery,
  Optional,
  required,
  Text,
  Uuid,
} from '../rules.js';
import { Page, PageQuery, Ref, Time } from './rules.js';
import type { ViewFacts } from './tasks.js';
import { SEVERITIES, type Severity } from './values.js';

export class EventView {
  /** Grows with each event; `after` and `cursor` speak of it. */
  @IsInt() @Min(0) id = required<number>();
  @Time() at = required<string>();
  @Text(128) kind = required<string>();
  @IsIn(SEVERITIES) severity = required<Severity>();
  @Nullable() @Uuid() hostUuid: string | null = null;
  @Nullable() @Uuid() vmUuid: string | null = null;
  @Nullable() @Uuid() taskUuid: string | null = null;
  @Text(8_192) text = required<string>();
  @IsObject() facts = required<ViewFacts>();
}

export class EventPage extends Page {
  @List(() => EventView) items = required<EventView[]>();
}

/** Without `after`: newest first. With `after`: oldest first, from the event behind that id. */
export class ListEventsRequest extends PageQuery {
  @Optional() @NumberInQuery() @IsInt() @Min(0) after?: number;
  /** The kind, or its beginning: `ha` finds `ha.fence.proof`. */
  @Optional() @Text(128) kind?: string;
  /** This severity or a worse one. */
  @Optional() @IsIn(SEVERITIES) severity?: Severity;
  @Optional() @Ref() host?: string;
  @Optional() @Ref() vm?: string;
  @Optional() @Uuid() taskUuid?: string;
}

/** `GET /v1/events?follow=true`: every event from now on, or from the one behind `after`. */
export class FollowEventsRequest {
  @BooleanInQuery() @Equals(true) follow = required<true>();
  @Optional() @NumberInQuery() @IsInt() @Min(0) after?: number;
  @Optional() @Uuid() taskUuid?: string;
}
