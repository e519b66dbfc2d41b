import { messageOf } from '@fenceline/common';
import type { VmSeen } from '@fenceline/protocol';
import { askStatus } from '../../vms/askStatus.js';
import { bearsMarkOf, type Run } from '../../vms/runs/run.js';
import { HaRefusal, type Attempt } from './context.js';
import { hostHolds } from './heldBack.js';

/**
 * The open runs as they are now (F3). A run that its own healthy host reports alive is adopted:
 * the VM is where the ledger says, and nothing is fenced or started.
 */
export async function refreshRuns(attempt: Attempt): Promise<Run[]> {
  const { deps, vm, log } = attempt;
  const voided = await deps.ledger.reviseProofs({
    vmUuid: vm.uuid,
    lastSignOfLifeMs: (hostUuid) => deps.presence.lastSignOfLifeMs(hostUuid),
  });
  for (const reason of voided) log.warn('a proof no longer holds', { reason });
  const open = await deps.ledger.openRuns(vm.uuid);
  const looks = await Promise.all(open.map((run) => look(attempt, run)));
  for (const [i, { hostUuid, epoch }] of open.entries()) {
    const seen = looks[i];
    if (typeof seen !== 'object' || attempt.adopted !== undefined) continue;
    attempt.adopted = { hostUuid, epoch };
    await deps.ledger.seenRunning(vm.uuid, epoch);
    await showWhere(attempt, { hostUuid, state: seen.state });
  }
  for (const [i, run] of open.entries())
    if (looks[i] === 'newBoot') await adoptNewBoot(attempt, run);
  attempt.suspects = open.flatMap((run, i) => (looks[i] === 'silent' ? [run.hostUuid] : []));
  attempt.gone = new Set(open.flatMap(({ epoch }, i) => (looks[i] === 'gone' ? [epoch] : [])));
  if (attempt.adopted === undefined)
    for (const [i, run] of open.entries())
      if (looks[i] === 'silent') await requireJudged(attempt, run);
  return open;
}

/**
 * safety: I3: the host runs the VM under a new boot, as where its hook does not work and libvirt
 * starts it: that is a newer run, and no fence for the old one may kill it.
 */
async function adoptNewBoot(attempt: Attempt, run: Run): Promise<void> {
  const closed = await attempt.deps.oldBoots.close(run);
  const why = 'refused' in closed ? closed.refused : 'it is gone by now';
  if ('refused' in closed || closed.now === undefined)
    throw new HaRefusal(
      `VM ${attempt.vm.name} was seen under a new boot of the host of run ${run.epoch}; ${why}`,
      [`fenceline task retry ${attempt.task.uuid}`],
    );
  attempt.adopted ??= { hostUuid: run.hostUuid, epoch: closed.now.epoch };
}

/** Nobody could say whether the run lives: it is fenced only if its host is judged to be. */
async function requireJudged(attempt: Attempt, run: Run): Promise<void> {
  const { deps, vm, task, message } = attempt;
  const held = hostHolds({ deps, vm, judger: message.judger }, run);
  if (held === undefined) return;
  const host = await deps.directory.find(run.hostUuid);
  throw new HaRefusal(
    `VM ${vm.name} (${vm.state}) was not started: ${host?.name ?? run.hostUuid} gave no answer ` +
      `about run ${run.epoch}, and nothing was fenced: ${held}`,
    [`fenceline task retry ${task.uuid}`, `fenceline vm start ${vm.name}`],
  );
}

/** An attempt that failed after its start put the old display back; now it is known better. */
async function showWhere(
  { deps, vm }: Attempt,
  shown: { hostUuid: string; state: string },
): Promise<void> {
  await deps.store.db.updateTable('vms').set(shown).where('uuid', '=', vm.uuid).execute();
}

/** What its host shows of a living run; else why there is nothing to show. */
type Look = VmSeen | 'newBoot' | 'gone' | 'silent';

async function look({ deps, log }: Attempt, run: Run): Promise<Look> {
  // A host that is judged to be fenced is not asked: its word would only cost time.
  if (deps.judgementOf(run.hostUuid)?.action === 'fence') return 'silent';
  const answer = await askStatus(deps, run).catch((error: unknown) => {
    log.warn('asking a host for a run failed', { error: messageOf(error) });
    return undefined;
  });
  if (answer === undefined) return 'silent';
  const { vm, bootId } = answer;
  // A qemu that has been killed and hangs in its last write (`Stopping`) may still write, but it
  // never runs again: adopting it would end the task, and nobody would bring the VM back.
  const runs = vm !== undefined && vm.hasProcess && vm.state !== 'Stopping';
  if (!runs) return 'gone';
  // safety: F33: no process outlives its boot, so this is not that run, whatever mark it bears.
  if (bootId !== run.bootId) return 'newBoot';
  return bearsMarkOf(run, vm.epoch) ? vm : 'gone';
}
