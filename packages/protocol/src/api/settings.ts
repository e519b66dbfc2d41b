import { IsArray, IsBoolean, IsNumber } from 'class-validator';
import { List, Nullable, Optional, required, Text } from '../rules.js';
import { Json, Page, Reason, Ref, Time } from './rules.js';

/** What one cluster has for itself. */
export class ClusterValueView {
  @Text(256) cluster = required<string>();
  @Json() value: unknown = required();
}

export class SettingView {
  /** Its path in the YAML file. */
  @Text(128) name = required<string>();
  @Json() value: unknown = required();
  /** What the product sets by itself. */
  @Json() default: unknown = required();
  /** `ms`, `s`, `min`, `MiB`, `%`; null: the value has no unit. */
  @Nullable() @Text(16) unit: string | null = null;
  @Optional() @IsNumber() min?: number;
  @Optional() @IsNumber() max?: number;
  /** The only values that are accepted. */
  @Optional() @IsArray() allowed?: unknown[];
  /** Set through the API; else the file's value or the default is in force. */
  @IsBoolean() overridden = required<boolean>();
  @Nullable() @Time() changedAt: string | null = null;
  @Nullable() @Text(256) changedBy: string | null = null;
  /** A cluster may have a value of its own. */
  @IsBoolean() perCluster = required<boolean>();
  /** The cluster that was asked about; null: the whole site. */
  @Nullable() @Text(256) cluster: string | null = null;
  /** Clusters that have a value of their own, where the whole site was asked about. */
  @List(() => ClusterValueView) clusterValues = required<ClusterValueView[]>();
}

export class SettingPage extends Page {
  @List(() => SettingView) items = required<SettingView[]>();
}

export class ListSettingsRequest {
  /** Uuid or name: what it may have for itself; absent: the whole site. */
  @Optional() @Ref() cluster?: string;
}

export class SettingRequest extends ListSettingsRequest {
  @Ref() name = required<string>();
}

export class PutSettingRequest extends SettingRequest {
  /** The new value; `null` takes back what was set through the API. */
  @Json() value: unknown = required();
  @Optional() @Reason() reason?: string;
}
