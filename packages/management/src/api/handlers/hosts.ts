import { Secret, type CallContext, type Handlers } from '@fenceline/common';
import {
  DomainError,
  type AddHostRequest,
  type ConfirmDeadRequest,
  type ConfirmDeadView,
  type HostReasonRequest,
  type HostView,
  type NewPowerDeviceRequest,
  type SetHostPowerRequest,
} from '@fenceline/protocol';
import type { hostRoutes } from '@fenceline/protocol';
import { createCluster, DEFAULT_CLUSTER } from '../../cluster/clusters.js';
import type { ApiContext } from '../context.js';
import { listHosts, showHost } from '../queries/hosts.js';
import { find, type Found } from '../queries/lookup.js';
import { listClusters } from '../queries/site.js';

export function hostHandlers(context: ApiContext): Handlers<typeof hostRoutes> {
  const { store, services, audit } = context;
  const { hosts } = services;
  const change = changeHost(context);
  return {
    listClusters: (query) => listClusters(store.db, query),
    createCluster: ({ name }, { caller }) =>
      audit.change({ actor: caller, action: 'cluster.create', target: name }, () =>
        createCluster(context, name),
      ),
    listHosts: (query) => listHosts(store.db, query),
    showHost: async ({ host }) => showHost(store.db, (await find(store.db, 'hosts', host)).uuid),
    addHost: (request, call) => addHost(context, request, call),
    reconnectHost: (request, call) =>
      change('host.reconnect', { request, call }, ({ uuid }) => hosts.reconnect(uuid)),
    enableHost: (request, call) =>
      change('host.enable', { request, call }, ({ uuid }) => hosts.setState(uuid, 'Enabled')),
    disableHost: (request, call) =>
      change('host.disable', { request, call }, ({ uuid }) => hosts.setState(uuid, 'Disabled')),
    removeHost: async ({ host, reason }, { caller }) => {
      const { uuid, name } = await find(store.db, 'hosts', host);
      const entry = { actor: caller, action: 'host.remove', target: uuid, reason, facts: { name } };
      await audit.change(entry, () => hosts.remove(uuid));
      return { uuid };
    },
    confirmHostDead: (request, call) => confirmDead(context, request, call),
    setHostPower: (request, call) => setPower(context, request, call),
    verifyHostPower: async ({ host, level, reason }, { caller }) => {
      const { uuid, name } = await find(store.db, 'hosts', host);
      const entry = { actor: caller, action: 'host.power.verify', target: uuid, reason };
      const facts = { name, level: level ?? null };
      const { verifiedAt } = await audit.change({ ...entry, facts }, () =>
        hosts.verifyPower(uuid, level),
      );
      return { hostUuid: uuid, verifiedAt };
    },
  };
}

/** A change of one host, with its audit row, answered with the host as it is then. */
function changeHost({ store, audit }: ApiContext) {
  return async (
    action: string,
    { request, call }: { request: HostReasonRequest; call: CallContext },
    work: (host: Found) => Promise<void>,
  ): Promise<HostView> => {
    const host = await find(store.db, 'hosts', request.host);
    const { reason } = request;
    const facts = { name: host.name };
    await audit.change({ actor: call.caller, action, target: host.uuid, reason, facts }, () =>
      work(host),
    );
    return showHost(store.db, host.uuid);
  };
}

async function addHost(
  { store, services, audit }: ApiContext,
  request: AddHostRequest,
  { caller }: CallContext,
): Promise<HostView> {
  const cluster = await find(store.db, 'clusters', request.cluster ?? DEFAULT_CLUSTER);
  const { name, addresses, agentPort, sshPort, sshUsername, powerDevice } = request;
  const facts = {
    addresses: addresses.join(', '),
    cluster: cluster.name,
    powerAgent: powerDevice?.agent ?? null,
  };
  const { hostUuid } = await audit.change(
    { actor: caller, action: 'host.add', target: name, facts },
    () =>
      services.hosts.add({
        name,
        clusterUuid: cluster.uuid,
        addresses,
        agentPort,
        sshPort,
        sshUsername,
        ...(powerDevice === undefined ? {} : { powerDevice: sealed(powerDevice) }),
      }),
  );
  return showHost(store.db, hostUuid);
}

/** The audit tells programs and their order, never a parameter (F28). */
async function setPower(
  { store, services, audit }: ApiContext,
  { host, levels, reason }: SetHostPowerRequest,
  { caller }: CallContext,
): Promise<HostView> {
  const { uuid, name } = await find(store.db, 'hosts', host);
  const told = levels.map(({ devices }) => devices.map(({ agent }) => agent).join(' + '));
  const entry = { actor: caller, action: 'host.power.set', target: uuid, reason };
  await audit.change({ ...entry, facts: { name, levels: told.join('; ') } }, () =>
    services.hosts.setPowerLevels(
      uuid,
      levels.map(({ devices }) => devices.map(sealed)),
    ),
  );
  return showHost(store.db, uuid);
}

function sealed({ agent, parameters }: NewPowerDeviceRequest) {
  return { agent, parametersJson: new Secret(JSON.stringify(parameters)) };
}

async function confirmDead(
  { store, services, audit }: ApiContext,
  { host, typedName, reason }: ConfirmDeadRequest,
  { caller }: CallContext,
): Promise<ConfirmDeadView> {
  const { uuid, name } = await find(store.db, 'hosts', host);
  // safety: the name is compared here, where it can't be forgotten by a caller; a uuid is not it.
  if (typedName !== name)
    throw new DomainError(
      'BAD_INPUT',
      `typedName: must be the host's name (${name}), typed by hand, to confirm it dead`,
    );
  const confirmed = await audit.change(
    { actor: caller, action: 'host.confirm-dead', target: uuid, reason, facts: { name } },
    () => services.confirmDead.confirmDead({ hostUuid: uuid, reason, actor: caller }),
  );
  return { hostUuid: uuid, vmUuids: [...confirmed.vmUuids], expiresAt: confirmed.expiresAt };
}
