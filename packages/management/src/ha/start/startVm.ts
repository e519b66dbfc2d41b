import { messageOf } from '@fenceline/common';
import { agentRoutes, RemoteError, TransportError } from '@fenceline/protocol';
import { agentAddress } from '../../fencing/peerCall.js';
import type { HostInfo } from '../../hosts/contracts.js';
import { askStatus } from '../../vms/askStatus.js';
import type { RunGrant } from '../../vms/runs/ledger.js';
import type { Run } from '../../vms/runs/run.js';
import { HaCalledOff, HaRefusal, recorded, type Attempt } from './context.js';

/** Destinations tried in one attempt. */
const MAX_DESTINATIONS = 3;
const CALL_MARGIN_MS = 5_000;

/** `start-ha-vm`: place, grant, start, see running; a lost answer is resolved before the next try. */
export async function startHaVm(attempt: Attempt): Promise<void> {
  const tried: string[] = [];
  const failures: string[] = [];
  while (tried.length < MAX_DESTINATIONS) {
    const host = await recorded(attempt, 'placement', async (note) => {
      const chosen = await choose(attempt, tried);
      note({ host: chosen?.name ?? 'none' });
      return chosen;
    });
    if (host === undefined) break;
    tried.push(host.uuid);
    const failure = await startOn(attempt, host);
    if (failure === undefined) return;
    failures.push(`${host.name}: ${failure}`);
  }
  throw new HaRefusal(
    `VM ${attempt.vm.name} was not started: ${failures.join('; ') || 'no host can take it'}`,
    [`fenceline task retry ${attempt.task.uuid}`, 'fenceline host list'],
  );
}

async function choose(attempt: Attempt, tried: string[]): Promise<HostInfo | undefined> {
  const { deps, vm, task, message } = attempt;
  const { destinations } = await deps.placer({
    vm,
    suspects: attempt.suspects,
    excluded: tried,
    softAvoid: message.softAvoidHostUuids,
    preferred: message.preferredHostUuid,
  });
  const host = destinations[0];
  if (host === undefined) return undefined;
  await deps.tasks.setDestination(task.uuid, host.uuid);
  await deps.events.record({
    kind: 'ha.placed',
    hostUuid: host.uuid,
    vmUuid: vm.uuid,
    taskUuid: task.uuid,
    text: `VM ${vm.name} will start on ${host.name}`,
  });
  return host;
}

/** @returns why it does not run there, with its run closed again; undefined if it runs. */
async function startOn(attempt: Attempt, host: HostInfo): Promise<string | undefined> {
  const { deps, vm, task } = attempt;
  attempt.signal.throwIfAborted();
  const held = deps.holds.mode(task.uuid, [vm.clusterUuid, host.clusterUuid]);
  if (held !== undefined)
    throw new HaCalledOff(`VM ${vm.name} was not started on ${host.name}: ${held}`);
  const bootId = deps.presence.bootId(host.uuid);
  if (bootId === undefined) return 'its boot is not known';
  const grant = await recorded(attempt, 'grant', async (note) => {
    const granted = await deps.ledger.grant({
      vmUuid: vm.uuid,
      taskUuid: task.uuid,
      hostUuid: host.uuid,
      bootId,
      liveOn: await liveOn(attempt),
      lastSignOfLifeMs: (hostUuid) => deps.presence.lastSignOfLifeMs(hostUuid),
    });
    note({ run: granted.run.epoch, proofs: granted.reliesOn.length });
    return granted;
  });
  const { run } = grant;
  // The record names every proof that this start stands on, whoever made it.
  attempt.proofDigests = [...new Set([...attempt.proofDigests, ...grant.reliesOn])];
  await deps.events.record({
    kind: 'ha.start.sent',
    hostUuid: host.uuid,
    vmUuid: vm.uuid,
    taskUuid: task.uuid,
    text: `run ${run.epoch} of VM ${vm.name} is started on ${host.name}`,
    facts: { epoch: run.epoch, digest: grant.digest },
  });
  const failure = await recorded(attempt, 'start-command', async (note, fail) => {
    const failed = await send(attempt, host, grant);
    if (failed !== undefined) {
      note({ failed: failed.why });
      fail();
    }
    return failed;
  });
  if (failure === undefined) {
    await recorded(attempt, 'seen-running', () => requireSeen(attempt, host, run));
    return undefined;
  }
  return recorded(attempt, 'resolve', () => resolve(attempt, run, failure));
}

interface Failure {
  why: string;
  /** The image is locked: somebody writes to it, so no other host is tried (F40). */
  locked: boolean;
}

async function send(
  { deps, vm, task }: Attempt,
  host: HostInfo,
  grant: RunGrant,
): Promise<Failure | undefined> {
  const { startTimeoutMs } = deps.settings.current().ha.restart;
  try {
    await deps.gateway.call(agentAddress(host), agentRoutes.vmStart, {
      command: {
        vmUuid: vm.uuid,
        epoch: grant.run.epoch,
        bootId: grant.run.bootId,
        domainXml: vm.domainXml,
        closedRuns: [...grant.closedRuns],
        startTimeoutMs,
        taskId: task.uuid,
      },
      deadlineMs: startTimeoutMs + CALL_MARGIN_MS,
    });
    return undefined;
  } catch (error) {
    const locked = error instanceof RemoteError && error.code === 'IMAGE_LOCKED';
    const lost = error instanceof TransportError ? 'the answer was lost: ' : '';
    return { why: `${lost}${messageOf(error)}`, locked };
  }
}

/** D13: done means seen running, not that a command returned. */
async function requireSeen(attempt: Attempt, host: HostInfo, run: Run): Promise<void> {
  const { deps, vm, task, signal } = attempt;
  const { startTimeoutMs } = deps.settings.current().ha.restart;
  const seen = await deps.runWatch.waitFor(
    { hostUuid: host.uuid, vmUuid: vm.uuid, epoch: run.epoch, limitMs: startTimeoutMs, signal },
    // Its event may have come before the start's answer, and the host may not answer any more.
    async () => shownBy(attempt, run) ?? (await askStatus(deps, run))?.vm,
  );
  if (!seen)
    throw new HaRefusal(
      `VM ${vm.name} was started on ${host.name} but not seen running within ${startTimeoutMs} ms`,
      [`fenceline vm show ${vm.name}`],
    );
  await deps.ledger.seenRunning(vm.uuid, run.epoch);
  await deps.store.db
    .updateTable('vms')
    .set({ state: 'Running', hostUuid: host.uuid })
    .where('uuid', '=', vm.uuid)
    .execute();
  attempt.started = { hostUuid: host.uuid, epoch: run.epoch };
  await deps.events.record({
    kind: 'vm.seenRunning',
    hostUuid: host.uuid,
    vmUuid: vm.uuid,
    taskUuid: task.uuid,
    text: `VM ${vm.name} is seen running on ${host.name} (run ${run.epoch})`,
    facts: { epoch: run.epoch },
  });
}

/** The run as its host's fresh list shows it. */
function shownBy({ deps }: Attempt, { hostUuid, vmUuid, epoch }: Run) {
  const live = deps.presence.liveVms(hostUuid) ?? [];
  return live.find((seen) => seen.vmUuid === vmUuid && seen.epoch === epoch);
}

/**
 * A start that failed, or whose answer was lost, is a run like any other: it runs (adopted), or
 * it is proven over, or no other host is tried.
 */
async function resolve(attempt: Attempt, run: Run, failure: Failure): Promise<string | undefined> {
  const { deps, vm, task } = attempt;
  const status = await askStatus(deps, run);
  const host = await deps.directory.find(run.hostUuid);
  if (status?.vm?.state === 'Running' && status.vm.epoch === run.epoch && host !== undefined) {
    await requireSeen(attempt, host, run);
    return undefined;
  }
  const judged = await deps.closeOnHost(run, vm, {
    stop: false,
    gracefulMs: 0,
    taskUuid: task.uuid,
  });
  // safety: a run that may live is never followed by a start somewhere else.
  if ('refused' in judged)
    throw new HaRefusal(
      `the start of VM ${vm.name} on ${host?.name ?? run.hostUuid} failed (${failure.why}), and ` +
        `it is not proven that nothing runs there (${judged.refused})`,
      [`fenceline task retry ${task.uuid}`],
    );
  const stored = await deps.ledger.close(judged.proof, task.uuid);
  attempt.proofDigests.push(stored.digest);
  if (failure.locked)
    throw new HaRefusal(
      `VM ${vm.name} was not started: its image is locked, so somebody still writes to it ` +
        `(${failure.why})`,
      [`fenceline vm show ${vm.name}`],
    );
  return failure.why;
}

/** Hosts on whose fresh lists the VM is alive (F38). */
async function liveOn({ deps, vm }: Attempt) {
  const hosts = await deps.directory.all();
  return hosts.flatMap(({ uuid }) =>
    (deps.presence.liveVms(uuid) ?? [])
      .filter((seen) => seen.vmUuid === vm.uuid)
      .map((seen) => ({ hostUuid: uuid, epoch: seen.epoch })),
  );
}
