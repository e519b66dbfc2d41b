import { IsIn, IsInt, IsObject, Min } from 'class-validator';
import { List, Nullable, Optional, required, Text, Uuid } from '../rules.js';
import { NewName, Page, PageQuery, Ref, Time } from './rules.js';
import type { ViewFacts } from './tasks.js';
import { API_ROLES, type ApiRole } from './values.js';

export class TokenView {
  @Uuid() uuid = required<string>();
  @Text(256) name = required<string>();
  @IsIn(API_ROLES) role = required<ApiRole>();
  @Time() createdAt = required<string>();
}

/** The one answer that ever holds the token itself. */
export class CreatedTokenView extends TokenView {
  @Text(128) token = required<string>();
}

export class TokenPage extends Page {
  @List(() => TokenView) items = required<TokenView[]>();
}

export class CreateTokenRequest {
  @NewName() name = required<string>();
  @IsIn(API_ROLES) role = required<ApiRole>();
}

/** A token by uuid or name. */
export class TokenRequest {
  @Ref() token = required<string>();
}

/** Who changed what, when and why. */
export class AuditView {
  @IsInt() @Min(0) id = required<number>();
  @Time() at = required<string>();
  @Text(256) actor = required<string>();
  @Text(32) role = required<string>();
  @Text(128) action = required<string>();
  @Text(512) target = required<string>();
  @Nullable() @Text() reason: string | null = null;
  @IsObject() facts = required<ViewFacts>();
}

export class AuditPage extends Page {
  @List(() => AuditView) items = required<AuditView[]>();
}

export class ListAuditRequest extends PageQuery {
  @Optional() @Text(256) actor?: string;
  /** The action, or its beginning: `host` finds `host.remove`. */
  @Optional() @Text(128) action?: string;
}
