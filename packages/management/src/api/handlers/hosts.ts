import { Secret, type CallContext, type Handlers } from '@fenceline/common';
import {
  DomainError,
  isPrivateKey,
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
import { withFencing } from '../queries/fencers.js';
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
    listHosts: async (query) => {
      const page = await listHosts(store.db, query);
      page.items = await fenced(context, page.items);
      return page;
    },
    showHost: async ({ host }) => shown(context, (await find(store.db, 'hosts', host)).uuid),
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
    ...accessHandlers(context),
  };
}

type AccessRoute = 'setHostLogin' | 'removeHostLogin' | 'rotateHostKey';

/** How siblings get in there (F29, F30). */
function accessHandlers(context: ApiContext): Pick<Handlers<typeof hostRoutes>, AccessRoute> {
  const { store, services, audit } = context;
  const { hosts } = services;
  const change = changeHost(context);
  return {
    setHostLogin: async (request, call) => {
      if (request.kind === 'privateKey' && !isPrivateKey(request.secret))
        throw new DomainError('BAD_INPUT', 'secret: is no private key; give its whole file');
      // What is told of it is its kind (F28).
      return change('host.login.set', { request, call }, ({ uuid }) =>
        hosts.setLogin(uuid, {
          kind: request.kind,
          secret: new Secret(request.secret),
          ...(request.passphrase === undefined
            ? {}
            : { passphrase: new Secret(request.passphrase) }),
        }),
      );
    },
    removeHostLogin: (request, call) =>
      change('host.login.remove', { request, call }, ({ uuid }) => hosts.removeLogin(uuid)),
    rotateHostKey: async ({ host, reason, force }, { caller }) => {
      const { uuid, name } = await find(store.db, 'hosts', host);
      const entry = { actor: caller, action: 'host.rotate-key', target: uuid, reason };
      const { fencePublicKey, untold } = await audit.change(
        { ...entry, facts: { name, force } },
        () => hosts.rotateKey(uuid, { force }),
      );
      return { hostUuid: uuid, fencePublicKey, untold: [...untold] };
    },
  };
}

async function shown(context: ApiContext, hostUuid: string): Promise<HostView> {
  const host = await showHost(context.store.db, hostUuid);
  const [view = host] = await fenced(context, [host]);
  return view;
}

function fenced(context: ApiContext, hosts: readonly HostView[]): Promise<HostView[]> {
  const { store, settings, services } = context;
  const crossClusterOf = (uuid: string): boolean => settings.current(uuid).ha.preFence.crossCluster;
  return withFencing(hosts, store.db, { seen: services.seen, crossClusterOf });
}

/** A change of one host, with its audit row, answered with the host as it is then. */
function changeHost(context: ApiContext) {
  const { store, audit } = context;
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
    return shown(context, host.uuid);
  };
}

async function addHost(
  context: ApiContext,
  request: AddHostRequest,
  { caller }: CallContext,
): Promise<HostView> {
  const { store, services, audit } = context;
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
  return shown(context, hostUuid);
}

/** The audit tells programs and their order, never a parameter (F28). */
async function setPower(
  context: ApiContext,
  { host, levels, reason }: SetHostPowerRequest,
  { caller }: CallContext,
): Promise<HostView> {
  const { store, services, audit } = context;
  const { uuid, name } = await find(store.db, 'hosts', host);
  const told = levels.map(({ devices }) => devices.map(({ agent }) => agent).join(' + '));
  const entry = { actor: caller, action: 'host.power.set', target: uuid, reason };
  await audit.change({ ...entry, facts: { name, levels: told.join('; ') } }, () =>
    services.hosts.setPowerLevels(
      uuid,
      levels.map(({ devices }) => devices.map(sealed)),
    ),
  );
  return shown(context, uuid);
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
