import type { EventView } from '@fenceline/protocol';

/** One part of the way, and how long it took. */
export interface Stage {
  name: string;
  /** Whole milliseconds since the stage before it ended. */
  ms: number;
}

/** A moment of the story that an event tells. */
export interface Milestone {
  /** The stage that ends with it. */
  stage: string;
  /** Milliseconds since the fault. */
  atMs: number;
  text: string;
}

export interface StoryOf {
  vmUuid: string;
  /** The host that was hurt. */
  hostUuid: string;
  /** Milliseconds since 1970 UTC. */
  faultAtMs: number;
}

/** Stage that ends with an event of this kind. */
const STAGE_OF_KIND: Record<string, string> = {
  'ha.fence.proof': 'proof',
  'ha.placed': 'placement',
  'ha.start.sent': 'start sent',
  'vm.seenRunning': 'seen running',
  'ha.task.refused': 'refusal',
};

/** The moments of one VM's way back, in order: detection, fence, proof, placement, start, running. */
export function milestonesOf(events: readonly EventView[], of: StoryOf): Milestone[] {
  const milestones: Milestone[] = [];
  for (const event of events) {
    const stage = stageOf(event, of, milestones);
    if (stage === undefined) continue;
    const atMs = Math.max(0, Date.parse(event.at) - of.faultAtMs);
    milestones.push({ stage, atMs, text: event.text });
  }
  return milestones;
}

function stageOf(
  event: EventView,
  { vmUuid, hostUuid }: StoryOf,
  before: readonly Milestone[],
): string | undefined {
  const has = (stage: string): boolean => before.some((one) => one.stage === stage);
  if (event.kind === 'host.judged' && event.hostUuid === hostUuid)
    return event.facts['action'] === 'fence' && !has('detection') ? 'detection' : undefined;
  if (event.vmUuid !== vmUuid) return undefined;
  if (event.kind === 'ha.fence.asked') return has('refusal') ? 'retry' : 'fence asked';
  return STAGE_OF_KIND[event.kind];
}

/** The milestones as stages; their times add up to that of the last one. */
export function stagesOf(milestones: readonly Milestone[]): Stage[] {
  return milestones.map(({ stage, atMs }, i) => ({
    name: stage,
    ms: Math.round(atMs - (milestones[i - 1]?.atMs ?? 0)),
  }));
}
