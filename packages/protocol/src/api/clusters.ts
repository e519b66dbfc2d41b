import { Text, Uuid, List, required } from '../rules.js';
import { NewName, Page, Time } from './rules.js';

export class ClusterView {
  @Uuid() uuid = required<string>();
  @Text(256) name = required<string>();
  @Time() createdAt = required<string>();
}

export class ClusterPage extends Page {
  @List(() => ClusterView) items = required<ClusterView[]>();
}

export class CreateClusterRequest {
  @NewName() name = required<string>();
}
