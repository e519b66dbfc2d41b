import { isoNow, messageOf, type Clock, type Logger } from '@fenceline/common';
import {
  agentRoutes,
  BadAnswerError,
  DomainError,
  type VmDomainRsp,
  type VmSeen,
} from '@fenceline/protocol';
import { agentAddress } from '../fencing/peerCall.js';
import type { ProveRebooted } from '../fencing/rebooted.js';
import { askStatus } from './askStatus.js';
import type { AgentGateway } from '../hosts/agentGateway.js';
import type { HostDirectory, HostInfo, HostVmList } from '../hosts/contracts.js';
import type { VmsTable } from '../store/schema.js';
import type { Queryable, Store } from '../store/store.js';
import type { Events } from '../telemetry/events.js';
import type { Ledger } from './runs/ledger.js';
import { bearsMarkOf, type Run } from './runs/run.js';
import type { RunWatch } from './runWatch.js';
import { diskByUring, findVm, vmOf, type Vm } from './vm.js';

const CALL_LIMIT_MS = 10_000;

export interface VmInventoryDeps {
  store: Store;
  clock: Clock;
  log: Logger;
  events: Events;
  ledger: Ledger;
  gateway: AgentGateway;
  directory: HostDirectory;
  runWatch: RunWatch;
  proveRebooted: ProveRebooted;
}

/** Keeps the inventory and the ledger in step with what hosts report. Starts and stops nothing. */
export interface VmInventory {
  /** A host's full list: unknown VMs are imported without touching them. */
  listed(list: HostVmList): Promise<void>;
  changed(change: { hostUuid: string; bootId: string; vm: VmSeen }): Promise<void>;
  /** Reads (again) a VM's definition from a host. @throws DomainError NOT_FOUND, CONFLICT */
  importVm(hostUuid: string, vm: string): Promise<Vm>;
}

export function makeVmInventory(deps: VmInventoryDeps): VmInventory {
  return {
    listed: async (list) => {
      for (const vm of list.vms)
        await changed(deps, { hostUuid: list.hostUuid, bootId: list.bootId, vm }).catch(
          (error: unknown) =>
            deps.log.warn('a VM of a host could not be taken in', {
              host: list.hostUuid,
              vm: vm.vmUuid,
              error: messageOf(error),
            }),
        );
    },
    changed: (change) => changed(deps, change),
    importVm: (hostUuid, vm) => importByName(deps, hostUuid, vm),
  };
}

interface Change {
  hostUuid: string;
  bootId: string;
  vm: VmSeen;
}

async function changed(deps: VmInventoryDeps, change: Change): Promise<void> {
  const { vm: seen, hostUuid } = change;
  const vm = (await findVm(deps.store.db, seen.vmUuid)) ?? (await takeIn(deps, change));
  if (vm === undefined) return;
  const open = await deps.ledger.openRuns(vm.uuid);
  const own = open.find((run) => run.hostUuid === hostUuid && run.bootId === change.bootId);
  if (seen.hasProcess) {
    if (own === undefined) await adopt(deps, vm, change);
    else if (bearsMarkOf(own, seen.epoch)) {
      if (seen.state === 'Running') await deps.ledger.seenRunning(vm.uuid, own.epoch);
      await show(deps, vm, { state: seen.state, hostUuid });
    }
    deps.runWatch.seen(hostUuid, seen);
    return;
  }
  // The display follows; the run stays open until it is proven over.
  if (own !== undefined && own.state === 'running' && vm.state !== 'Stopped')
    await show(deps, vm, { state: 'Stopped', hostUuid });
}

async function show(
  { store }: VmInventoryDeps,
  vm: Vm,
  shown: { state: string; hostUuid: string },
): Promise<void> {
  if (vm.state === shown.state && vm.hostUuid === shown.hostUuid) return;
  await store.db.updateTable('vms').set(shown).where('uuid', '=', vm.uuid).execute();
}

/**
 * A live qemu that the ledger does not know: what is true is adopted, loudly (F38). A report may
 * have been on its way while its run was closed, so the host is asked again first.
 */
async function adopt(deps: VmInventoryDeps, vm: Vm, change: Change): Promise<void> {
  const { hostUuid } = change;
  const now = await askStatus(deps, { hostUuid, vmUuid: vm.uuid });
  if (now !== undefined && now.vm?.hasProcess !== true) return;
  // safety: a host that can't be asked is no reason to forget a qemu that it has just reported,
  // unless that very life was proven over since.
  if (now === undefined && (await wasClosed(deps, vm, change))) return;
  const seen = now?.vm ?? change.vm;
  const bootId = now?.bootId ?? change.bootId;
  const before = await deps.ledger.openRuns(vm.uuid);
  const ofOldBoot = before.filter((run) => run.hostUuid === hostUuid && run.bootId !== bootId);
  const others = before.filter((run) => !ofOldBoot.includes(run));
  const { epoch } = await deps.ledger.adopt({
    vmUuid: vm.uuid,
    hostUuid,
    bootId,
    mark: seen.epoch,
  });
  await show(deps, vm, { state: seen.state, hostUuid });
  const fresh = vm.epoch === 0 && others.length === 0;
  await deps.events.record({
    kind: others.length === 0 ? 'vm.adopted' : 'vm.runsTwice',
    severity: fresh ? 'info' : others.length === 0 ? 'warning' : 'critical',
    hostUuid,
    vmUuid: vm.uuid,
    text:
      others.length === 0
        ? `VM ${vm.name} runs and was not started through Fenceline; it is run ${epoch} now`
        : await twiceText(deps, vm, [...others, { epoch, hostUuid }]),
    facts: { epoch, seenEpoch: seen.epoch, openRuns: others.length },
  });
  // One that can't be proven over now is told of again with its host's reboot.
  for (const run of ofOldBoot) {
    const judged = await deps.proveRebooted(run);
    if ('proof' in judged) await deps.ledger.close(judged.proof, null);
  }
}

/** Whoever is woken by it has to know at once where to look. */
async function twiceText(
  { directory }: VmInventoryDeps,
  vm: Vm,
  runs: readonly Pick<Run, 'epoch' | 'hostUuid'>[],
): Promise<string> {
  const names = new Map((await directory.all()).map(({ uuid, name }) => [uuid, name]));
  const list = runs.map((run) => `run ${run.epoch} on ${names.get(run.hostUuid) ?? run.hostUuid}`);
  return (
    `VM ${vm.name} may run twice: ${list.join(' and ')} are open, and two qemus that write to its ` +
    `disks destroy them; stop it on all of these hosts: fenceline vm stop ${vm.name}`
  );
}

/** A run under that boot of the host, with that mark, is closed by proof. */
async function wasClosed({ store }: VmInventoryDeps, vm: Vm, change: Change): Promise<boolean> {
  const closed = await store.db
    .selectFrom('runs')
    .select('mark')
    .where('vmUuid', '=', vm.uuid)
    .where('hostUuid', '=', change.hostUuid)
    .where('bootId', '=', change.bootId)
    .where('state', '=', 'closed')
    .execute();
  return closed.some((run) => bearsMarkOf(run, change.vm.epoch));
}

async function takeIn(deps: VmInventoryDeps, change: Change): Promise<Vm | undefined> {
  if (!change.vm.knownToLibvirt) return undefined;
  const host = await deps.directory.find(change.hostUuid);
  if (host === undefined) return undefined;
  return readAndStore(deps, { host, vmUuid: change.vm.vmUuid, ifKnown: 'leave' });
}

interface ReadAsk {
  host: HostInfo;
  vmUuid: string;
  /** What is done if the VM is known, by now, already. */
  ifKnown: 'replace' | 'leave';
}

async function readAndStore(
  deps: VmInventoryDeps,
  { host, vmUuid, ifKnown }: ReadAsk,
): Promise<Vm> {
  const domain = await readDomain(deps, host, vmUuid);
  return deps.store.transaction(async (tx) => {
    const there = await findVm(tx, vmUuid);
    const fields = definitionOf(domain);
    if (there !== undefined && ifKnown === 'leave') return there;
    if (there !== undefined) {
      await refuseRunElsewhere(deps, there, { host, on: tx });
      await tx.updateTable('vms').set(fields).where('uuid', '=', vmUuid).execute();
      return (await findVm(tx, vmUuid)) ?? there;
    }
    const row: VmsTable = {
      uuid: vmUuid,
      clusterUuid: host.clusterUuid,
      hypervisor: 'KVM',
      state: 'Stopped',
      hostUuid: null,
      lastHostUuid: null,
      level: 'none',
      priority: 'normal',
      stoppedByPerson: 0,
      epoch: 0,
      createdAt: isoNow(deps.clock),
      ...fields,
    };
    await tx.insertInto('vms').values(row).execute();
    await deps.events.record(
      { kind: 'vm.imported', vmUuid, hostUuid: host.uuid, text: foundText(row.name, host, domain) },
      tx,
    );
    return vmOf(row);
  });
}

/** @throws DomainError REFUSED for a definition that could not be told to other hosts. */
async function readDomain(
  { gateway }: VmInventoryDeps,
  host: HostInfo,
  vmUuid: string,
): Promise<VmDomainRsp> {
  const call = { command: { vmUuid }, deadlineMs: CALL_LIMIT_MS };
  try {
    return await gateway.call(agentAddress(host), agentRoutes.vmDomain, call);
  } catch (thrown) {
    if (!(thrown instanceof BadAnswerError)) throw thrown;
    const why = `the definition that host ${host.name} tells can't be used: ${thrown.message}`;
    throw new DomainError('REFUSED', why);
  }
}

function foundText(name: string, host: HostInfo, { disks }: VmDomainRsp): string {
  const uring = diskByUring(disks);
  const but =
    uring && `; it can't be protected, as its disk ${uring.source} is written by io_uring`;
  return `VM ${name} was found on ${host.name}${but ?? ''}`;
}

/** safety: a fence looks at the disks of the definition; another host's may be an old one. */
async function refuseRunElsewhere(
  { ledger }: VmInventoryDeps,
  vm: Vm,
  { host, on }: { host: HostInfo; on: Queryable },
): Promise<void> {
  const elsewhere = (await ledger.openRuns(vm.uuid, on)).find((run) => run.hostUuid !== host.uuid);
  if (elsewhere === undefined) return;
  // Through this very transaction: any other read would wait for its end, and it for that read.
  const hosts = on.selectFrom('hosts').select('name').where('uuid', '=', elsewhere.hostUuid);
  const name = (await hosts.executeTakeFirst())?.name ?? elsewhere.hostUuid;
  throw new DomainError(
    'CONFLICT',
    `a run of VM ${vm.name} is open on ${name}: import its definition from there`,
  );
}

function definitionOf(domain: VmDomainRsp) {
  return {
    name: domain.name,
    domainXml: domain.domainXml,
    disksJson: JSON.stringify(domain.disks),
    memoryMiB: domain.memoryMiB,
    cpus: domain.cpus,
  };
}

async function importByName(deps: VmInventoryDeps, hostUuid: string, name: string): Promise<Vm> {
  const host = await deps.directory.find(hostUuid);
  if (host === undefined) throw new DomainError('NOT_FOUND', `no host ${hostUuid}`);
  if (host.status !== 'Connected')
    throw new DomainError('CONFLICT', `host ${host.name} is ${host.status}; connect it first`);
  const list = await deps.gateway.call(agentAddress(host), agentRoutes.vmSync, {
    command: {},
    deadlineMs: CALL_LIMIT_MS,
  });
  const seen = list.vms.find((vm) => vm.vmUuid === name || vm.name === name);
  if (seen === undefined) throw new DomainError('NOT_FOUND', `host ${host.name} has no VM ${name}`);
  const vm = await readAndStore(deps, { host, vmUuid: seen.vmUuid, ifKnown: 'replace' });
  await changed(deps, { hostUuid, bootId: list.bootId, vm: seen });
  return (await findVm(deps.store.db, vm.uuid)) ?? vm;
}
