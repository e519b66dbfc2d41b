import { isoNow, type CallContext, type Handlers } from '@fenceline/common';
import { dashed, type ProofBundleView, type vmRoutes, type VmWorkView } from '@fenceline/protocol';
import type { AuditEntry } from '../../access/audit.js';
import type { ApiContext } from '../context.js';
import { find, findOptional } from '../queries/lookup.js';
import { proofBundle } from '../queries/proofBundle.js';
import { listHistory, listTasks, proofsOf, showTask, taskStory } from '../queries/tasks.js';
import { listVms, showVm, type HaOf } from '../queries/vms.js';
import type { StartedWork } from '../services.js';

export function vmHandlers(context: ApiContext): Handlers<typeof vmRoutes> {
  return { ...readers(context), ...vmChanges(context), ...taskChanges(context) };
}

type VmHandlers = Handlers<typeof vmRoutes>;
type Readers =
  | 'listVms'
  | 'showVm'
  | 'listTasks'
  | 'showTask'
  | 'listTaskProofs'
  | 'exportTaskProof'
  | 'listHistory';
type TaskChanges = 'retryTask' | 'abandonTask';

function readers({ store, settings, clock, node }: ApiContext): Pick<VmHandlers, Readers> {
  const { db } = store;
  const haOf: HaOf = (clusterUuid) => settings.current(clusterUuid).ha;
  return {
    listVms: (query) => listVms(db, query, haOf),
    showVm: async ({ vm }) => showVm(db, (await find(db, 'vms', vm)).uuid, haOf),
    listTasks: (query) => listTasks(db, query),
    showTask: ({ taskUuid }) => taskStory(db, dashed(taskUuid)),
    listTaskProofs: async ({ taskUuid }) => {
      const { uuid } = await showTask(db, dashed(taskUuid));
      return { items: await proofsOf(db, uuid) };
    },
    exportTaskProof: async ({ taskUuid }) => {
      const { databaseIncarnation } = node;
      const ask = { taskUuid: dashed(taskUuid), exportedAt: isoNow(clock), databaseIncarnation };
      // The lists are checked as they are by the view's class.
      return (await store.transaction((tx) => proofBundle(tx, ask))) as ProofBundleView;
    },
    listHistory: (query) => listHistory(db, query),
  };
}

function vmChanges({
  store,
  services,
  settings,
  audit,
}: ApiContext): Omit<VmHandlers, Readers | TaskChanges> {
  const { db } = store;
  const { vms } = services;
  const haOf: HaOf = (clusterUuid) => settings.current(clusterUuid).ha;
  const show = (vmUuid: string) => showVm(db, vmUuid, haOf);
  const work = async (
    entry: Omit<AuditEntry, 'actor' | 'target'> & { vm: string },
    { caller }: CallContext,
    begin: (vmUuid: string) => Promise<StartedWork>,
  ): Promise<VmWorkView> => {
    const { vm, ...rest } = entry;
    const { uuid, name } = await find(db, 'vms', vm);
    const facts = { name, ...rest.facts };
    const { taskUuid } = await audit.change({ ...rest, actor: caller, target: uuid, facts }, () =>
      begin(uuid),
    );
    return { vmUuid: uuid, taskUuid: taskUuid ?? null };
  };
  return {
    importVm: async ({ host, vm }, { caller }) => {
      const from = await find(db, 'hosts', host);
      const entry = { actor: caller, action: 'vm.import', target: vm, facts: { host: from.name } };
      const { vmUuid } = await audit.change(entry, () => vms.importVm({ hostUuid: from.uuid, vm }));
      return show(vmUuid);
    },
    protectVm: async ({ vm, level, priority }, { caller }) => {
      const { uuid, name } = await find(db, 'vms', vm);
      const facts = { name, level: level ?? null, priority: priority ?? null };
      await audit.change({ actor: caller, action: 'vm.protect', target: uuid, facts }, () =>
        vms.protect(uuid, { level, priority }),
      );
      return show(uuid);
    },
    startVm: async ({ vm, host, reason }, call) => {
      const hostUuid = await findOptional(db, 'hosts', host);
      const facts = { host: host ?? null };
      return work({ action: 'vm.start', vm, reason, facts }, call, (uuid) =>
        vms.start(uuid, { hostUuid, actor: call.caller }),
      );
    },
    stopVm: ({ vm, graceful, reason }, call) =>
      work({ action: 'vm.stop', vm, reason }, call, (uuid) =>
        vms.stop(uuid, { graceful: graceful ?? false, actor: call.caller }),
      ),
    haStartVm: ({ vm, reason }, call) =>
      work({ action: 'vm.ha-start', vm, reason }, call, (uuid) =>
        vms.haStart(uuid, { reason, actor: call.caller }),
      ),
  };
}

function taskChanges({ store, services, audit }: ApiContext): Pick<VmHandlers, TaskChanges> {
  const { db } = store;
  return {
    retryTask: async ({ taskUuid, reason }, { caller }) => {
      const { uuid } = await showTask(db, dashed(taskUuid));
      await audit.change({ actor: caller, action: 'task.retry', target: uuid, reason }, () =>
        services.tasks.retry(uuid, caller),
      );
      return showTask(db, uuid);
    },
    abandonTask: async ({ taskUuid, reason }, { caller }) => {
      const { uuid } = await showTask(db, dashed(taskUuid));
      await audit.change({ actor: caller, action: 'task.abandon', target: uuid, reason }, () =>
        services.tasks.abandon(uuid, { reason, actor: caller }),
      );
      return showTask(db, uuid);
    },
  };
}
