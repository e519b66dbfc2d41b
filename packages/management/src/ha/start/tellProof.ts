import type { RaceResult } from '../../fencing/channels/race.js';
import type { ProofsTable } from '../../store/schema.js';
import type { Vm } from '../../vms/vm.js';
import type { HaTask } from '../tasks/task.js';
import type { HaStartDeps } from './context.js';

interface Told {
  vm: Vm;
  task: Pick<HaTask, 'uuid'>;
  raced: RaceResult;
  stored: ProofsTable;
}

/** The event of a run that was proven over, with what every channel said. */
export async function tellProof(
  deps: Pick<HaStartDeps, 'events' | 'directory'>,
  { vm, task, raced, stored }: Told,
): Promise<void> {
  const source = await sourceName(deps, stored.source);
  await deps.events.record({
    kind: 'ha.fence.proof',
    hostUuid: stored.hostUuid,
    vmUuid: vm.uuid,
    taskUuid: task.uuid,
    text: `proven: run ${stored.epoch} of ${vm.name} is over (${stored.kind}, by ${source})`,
    facts: {
      proof: stored.kind,
      source: stored.source,
      digest: stored.digest,
      channels: raced.said.map(({ channel, why }) => `${channel}: ${why}`).join(' | '),
    },
  });
}

/** `peer:<uuid>` as people call it. */
async function sourceName(
  { directory }: Pick<HaStartDeps, 'directory'>,
  source: string,
): Promise<string> {
  const [kind = '', id = ''] = source.split(/:(.*)/s);
  const host = await directory.find(id);
  return `${kind} ${host?.name ?? id.split('/').at(-1) ?? id}`;
}
