import { messageOf } from '@fenceline/common';
import { DomainError } from '@fenceline/protocol';
import { raceChannels, type RaceResult } from '../../fencing/channels/race.js';
import type { Run } from '../../vms/runs/run.js';
import { HaCalledOff, HaRefusal, recorded, type Attempt } from './context.js';
import { callOffWhen, hostHolds } from './heldBack.js';
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
  const { deps, vm, task } = attempt;
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
  const result = await recorded(attempt, name, async (note, fail) => {
    const raced = await race(attempt, run, host?.clusterUuid ?? vm.clusterUuid);
    const stale = raced.said.find((result) => result.stale === true);
    // safety: F14: a newer run than the ledger knows of; nothing that is closed here would be it.
    if (stale !== undefined) throw new DomainError('STALE_EPOCH', stale.why);
    if (raced.proof === undefined) {
      fail();
      note(Object.fromEntries(raced.said.map(({ channel, why }) => [channel, why])));
      if (raced.calledOff !== undefined) note({ calledOff: raced.calledOff });
      return { raced, stored: undefined };
    }
    const stored = await deps.ledger.close(raced.proof, task.uuid);
    note({ proof: stored.kind, by: stored.source });
    return { raced, stored };
  });
  if (result.stored === undefined) {
    await deps.fencing.refused(run.hostUuid);
    return { run, said: result.raced.said, calledOff: result.raced.calledOff };
  }
  attempt.proofDigests.push(result.stored.digest);
  await tellProof(deps, { vm, task, raced: result.raced, stored: result.stored });
  return undefined;
}

/** All channels side by side, until one has the proof, or nobody may go on. */
async function race(
  attempt: Attempt,
  run: Run,
  clusterUuid: string,
): Promise<RaceResult & { calledOff: string | undefined }> {
  const { deps, vm, message, task, signal } = attempt;
  const heldBack = (): string | undefined =>
    deps.holds.mode(task.uuid, [vm.clusterUuid, clusterUuid]) ?? runHolds(attempt, run);
  const off = callOffWhen(deps.clock, heldBack);
  const { channels } = deps.settings.current(clusterUuid).ha.preFence;
  try {
    const raced = await raceChannels(deps.channels, channels, {
      request: {
        ...{ clusterUuid, run, vm, taskUuid: task.uuid, heldBack },
        siblingHostUuids: message.siblingHostUuids,
        judgementNow: () => deps.judgementOf(run.hostUuid),
      },
      ...{ signal, calledOff: off.signal },
    });
    return { ...raced, calledOff: messageOfAbort(off.signal) ?? heldBack() };
  } finally {
    off.stop();
  }
}

function messageOfAbort({ aborted, reason }: AbortSignal): string | undefined {
  return aborted ? messageOf(reason) : undefined;
}

/** Why no order may be given for this run; what its own host says is gone needs no judgement. */
function runHolds(attempt: Attempt, run: Run): string | undefined {
  const { deps, vm, message, gone } = attempt;
  if (gone.has(run.epoch)) return undefined;
  return hostHolds({ deps, vm, judger: message.judger }, run);
}

async function refusal(attempt: Attempt, unproven: readonly Unproven[]): Promise<HaRefusal> {
  const { deps, vm, task } = attempt;
  const hosts = await deps.directory.all();
  const nameOf = (uuid: string): string => hosts.find((host) => host.uuid === uuid)?.name ?? uuid;
  const needSec = deps.settings.current().ha.operator.confirmDeadAfterSec;
  const silenceLeftSec = (uuid: string): number => {
    const lastMs = deps.presence.lastSignOfLifeMs(uuid);
    const isRecent = lastMs !== undefined && deps.clock.monotonicMs() - lastMs < needSec * 1_000;
    return isRecent ? needSec : 0;
  };
  const waysOut = waysOutOf(task.uuid, unproven, { nameOf, silenceLeftSec });
  const off = unproven.find(({ calledOff }) => calledOff !== undefined);
  if (off !== undefined)
    return new HaCalledOff(
      `VM ${vm.name} (${vm.state}) was not started: fencing run ${off.run.epoch} on ` +
        `${nameOf(off.run.hostUuid)} was called off, as ${off.calledOff}`,
      waysOut,
    );
  const dying = unproven.some(({ said }) => said.some((result) => result.dying === true));
  return new HaRefusal(refusalText(vm, unproven, nameOf), waysOut, dying);
}
