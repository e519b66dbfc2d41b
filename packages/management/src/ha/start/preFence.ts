import { DomainError } from '@fenceline/protocol';
import { raceChannels } from '../../fencing/channels/race.js';
import type { Run } from '../../vms/runs/run.js';
import { HaRefusal, recorded, type Attempt } from './context.js';
import { refreshRuns } from './refresh.js';
import { refusalText, waysOutOf, type Unproven } from './refusal.js';
import { tellProof } from './tellProof.js';

/**
 * `ha-pre-fence-vm`: every open run of the VM is closed, each by its own proof, or nothing else
 * happens (F1, F2, F33).
 */
export async function preFenceVm(attempt: Attempt): Promise<void> {
  const open = await recorded(attempt, 'refresh', async (note) => {
    const runs = await refreshRuns(attempt);
    note({ openRuns: runs.length });
    return runs;
  });
  if (attempt.adopted !== undefined || open.length === 0) return;
  await recorded(attempt, 'dry-placement', () => requireDestination(attempt, open));
  const results = await Promise.all(open.map((run) => closeRun(attempt, run)));
  const unproven = results.filter((result) => result !== undefined);
  // safety: no proof, no start. The grant would refuse as well; this one says why.
  if (unproven.length > 0) throw await refusal(attempt, unproven);
}

/** A fence may kill a VM that still serves; without a destination it would be for nothing. */
async function requireDestination(attempt: Attempt, open: readonly Run[]): Promise<void> {
  const { deps, vm } = attempt;
  const { destinations, refusals } = await deps.placer({
    vm,
    suspects: attempt.suspects,
    excluded: [],
    softAvoid: attempt.message.softAvoidHostUuids,
  });
  if (destinations.length > 0) return;
  const reasons = refusals.map(({ host, reason }) => `${host}: ${reason}`).join('; ');
  throw new HaRefusal(
    `VM ${vm.name} is ${vm.state}; ${open.length} run(s) of it may still be alive, and no host ` +
      `could take it, so nothing was fenced (${reasons || 'no other host'})`,
    ['fenceline host list', 'fenceline host add'],
  );
}

async function closeRun(attempt: Attempt, run: Run): Promise<Unproven | undefined> {
  const { deps, vm, message, task } = attempt;
  await deps.events.record({
    kind: 'ha.fence.asked',
    hostUuid: run.hostUuid,
    vmUuid: vm.uuid,
    taskUuid: task.uuid,
    text: `proof is sought that run ${run.epoch} of ${vm.name} is over`,
  });
  await deps.fencing.began(run.hostUuid);
  const host = await deps.directory.find(run.hostUuid);
  const name = `fence run ${run.epoch} on ${host?.name ?? run.hostUuid}`;
  const result = await recorded(attempt, name, async (note) => {
    const clusterUuid = host?.clusterUuid ?? vm.clusterUuid;
    const { channels } = deps.settings.current(clusterUuid).ha.preFence;
    const raced = await raceChannels(deps.channels, channels, {
      request: {
        clusterUuid,
        run,
        vm,
        taskUuid: task.uuid,
        siblingHostUuids: message.siblingHostUuids,
        judgementNow: () => deps.judgementOf(run.hostUuid),
      },
      signal: attempt.signal,
    });
    const stale = raced.said.find((result) => result.stale === true);
    // safety: F14: a newer run than the ledger knows of; nothing that is closed here would be it.
    if (stale !== undefined) throw new DomainError('STALE_EPOCH', stale.why);
    if (raced.proof === undefined) {
      note(Object.fromEntries(raced.said.map(({ channel, why }) => [channel, why])));
      return { raced, stored: undefined };
    }
    const stored = await deps.ledger.close(raced.proof, task.uuid);
    note({ proof: stored.kind, by: stored.source });
    return { raced, stored };
  });
  if (result.stored === undefined) {
    await deps.fencing.refused(run.hostUuid);
    return { run, said: result.raced.said };
  }
  attempt.proofDigests.push(result.stored.digest);
  await tellProof(deps, { vm, task, raced: result.raced, stored: result.stored });
  return undefined;
}

async function refusal(attempt: Attempt, unproven: readonly Unproven[]): Promise<HaRefusal> {
  const { deps, vm, task } = attempt;
  const hosts = await deps.directory.all();
  const nameOf = (uuid: string): string => hosts.find((host) => host.uuid === uuid)?.name ?? uuid;
  const waysOut = waysOutOf(task.uuid, unproven, nameOf);
  const dying = unproven.some(({ said }) => said.some((result) => result.dying === true));
  return new HaRefusal(refusalText(vm, unproven, nameOf), waysOut, dying);
}
