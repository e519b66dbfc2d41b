import { flow, withLimit, type Flow, type Step } from '@fenceline/common';
import { agentRoutes, DomainError, FENCELINE_VERSION } from '@fenceline/protocol';
import { CHECK_HOST_CAPACITY_TIMEOUT_MS } from '../../messages/types.js';
import type { Host } from '../host.js';
import { checkIdentity, checkProtocol, checkSameBoot, checkVirtualization } from './checks.js';
import { callAgent, hookContext, type ConnectContext, type ConnectDeps } from './context.js';
import type { ConnectExtension } from './extensions.js';
import { afterConnectHooksStep } from './hookSteps.js';
import { pinnedHostKeys } from './hostKeys.js';
import { asksForTokens, siblingKeysDigest, siblingKeysFor } from './siblingKeys.js';

/** An echo or ping is answered by the agent itself, without libvirt. */
const PING_MS = 5_000;
/** Facts ask libvirt and qemu for their versions. */
const FACTS_MS = 30_000;
/** Writes keys and the seed of past runs. */
const CONNECT_MS = 30_000;
/** More VMs than a connect can carry: then an unseeded agent goes on refusing starts. */
const MAX_RUNS = 8_192;

/** What the flow tells when the status is Connected. */
export interface ConnectHooks {
  connected(context: ConnectContext): Promise<void>;
  /** The agent was told its siblings. */
  toldSiblings(host: Host, digest: string): void;
}

/** C2: the whole connect as one list. */
export function connectFlow(deps: ConnectDeps, hooks: ConnectHooks): Flow<ConnectContext> {
  const { extensions } = deps;
  return flow('connect-host', [
    checkConditions(deps),
    statusConnecting(deps),
    checkAgent(deps),
    readFacts(deps),
    connectAgent(deps, hooks),
    afterConnectHooksStep(deps),
    extensionStep('pre-connect', extensions.preConnect),
    extensionStep('post-connect', extensions.postConnect),
    checkCapacityStep(deps),
    statusConnected(deps, hooks),
    extensionStep('after-connected', extensions.afterConnected),
  ]);
}

/** Nothing is changed for a host that does not answer at all. */
function checkConditions({ gateway, random }: ConnectDeps): Step<ConnectContext> {
  return {
    name: 'check-conditions',
    run: ({ budget, host }) =>
      budget.run('echo of the agent', async (signal) => {
        const nonce = random.hex(16);
        const command = { nonce };
        const limit = { deadlineMs: Math.min(PING_MS, budget.leftMs()), signal };
        const call = { command, ...limit };
        const answer = await callAgent({ gateway, host }, agentRoutes.echo, call);
        if (answer.nonce !== nonce)
          throw new DomainError('CONFLICT', `what answers for ${host.name} does not echo`);
        checkIdentity(host, answer.hostUuid);
      }),
  };
}

function statusConnecting({ repository }: ConnectDeps): Step<ConnectContext> {
  return {
    name: 'status-connecting',
    run: ({ host, message }) =>
      repository.setStatus(host.uuid, 'Connecting', message.reconnect ? 'reconnect' : 'connect'),
    rollback: ({ host }, why) => repository.setStatus(host.uuid, 'Disconnected', why.message),
  };
}

function checkAgent({ gateway }: ConnectDeps): Step<ConnectContext> {
  return {
    name: 'check-agent',
    run: (context) =>
      context.budget.run('ping of the agent', async (signal) => {
        const { host, budget } = context;
        const limit = { deadlineMs: Math.min(PING_MS, budget.leftMs()), signal };
        const call = { command: {}, ...limit };
        const ping = await callAgent({ gateway, host }, agentRoutes.ping, call);
        checkProtocol(host, ping);
        checkIdentity(host, ping.hostUuid);
        context.bootId = ping.bootId;
      }),
  };
}

function readFacts({ gateway, settings }: ConnectDeps): Step<ConnectContext> {
  return {
    name: 'read-facts',
    run: (context) =>
      context.budget.run('facts of the host', async (signal) => {
        const { host, budget } = context;
        const limit = { deadlineMs: Math.min(FACTS_MS, budget.leftMs()), signal };
        const call = { command: {}, ...limit };
        const facts = await callAgent({ gateway, host }, agentRoutes.facts, call);
        checkSameBoot(host, context.bootId, facts.bootId);
        checkVirtualization(host, facts, settings.current().host.allowEmulation);
        pinnedHostKeys(host, facts.sshHostKeys);
        context.facts = facts;
      }),
  };
}

function connectAgent(deps: ConnectDeps, hooks: ConnectHooks): Step<ConnectContext> {
  const { gateway, repository, inventory, settings } = deps;
  return {
    name: 'connect-agent',
    run: (context) =>
      context.budget.run('/host/connect', async (signal) => {
        const { host, facts, budget, message } = context;
        if (facts === undefined) throw new Error('facts are read before /host/connect');
        const hosts = await repository.list({ clusterUuid: host.clusterUuid });
        const runs = await inventory.knownRuns(host.uuid);
        const siblings = siblingKeysFor(host, hosts);
        const command = {
          hostUuid: host.uuid,
          serverUuid: deps.owner.uuid,
          serverVersion: FENCELINE_VERSION,
          siblings,
          orderTokens: asksForTokens(settings),
          ...(runs.length > MAX_RUNS ? {} : { runs }),
        };
        const call = { command, deadlineMs: Math.min(CONNECT_MS, budget.leftMs()), signal };
        const answer = await callAgent({ gateway, host }, agentRoutes.connect, call);
        hooks.toldSiblings(host, siblingKeysDigest(command));
        checkSameBoot(host, context.bootId, answer.bootId);
        const { agentInstance, agentVersion, bootId, fencePublicKey } = answer;
        const addresses = [...new Set([...host.addresses, ...answer.addresses])].slice(0, 16);
        const fields = {
          addresses,
          agentInstance,
          agentVersion,
          bootId,
          pidNamespace: facts.pidNamespace,
          fencePublicKey,
          // A change of the key whose last answer was lost.
          ...(host.nextFencePublicKey === fencePublicKey ? { nextFencePublicKey: null } : {}),
          doorPort: answer.doorPort ?? null,
          sshHostKeys: pinnedHostKeys(host, answer.sshHostKeys),
        };
        await repository.update(host.uuid, fields);
        context.host = await repository.get(host.uuid);
        const { newAdd, reconnect } = message;
        context.info = { newAdd, reconnect, agentInstance, agentVersion, bootId, facts };
      }),
  };
}

function extensionStep(
  name: string,
  extensions: readonly ConnectExtension[],
): Step<ConnectContext> {
  return {
    name,
    skip: () => extensions.length === 0,
    run: (context) =>
      context.budget.run(name, async (signal) => {
        for (const extension of extensions) await extension.run(hookContext(context, signal));
      }),
  };
}

/** C7: the one shared time-out, not what is left of this connect; so it is outside the budget. */
function checkCapacityStep({ bus, clock }: ConnectDeps): Step<ConnectContext> {
  return {
    name: 'check-capacity',
    run: async ({ host, signal }) => {
      const timeoutMs = CHECK_HOST_CAPACITY_TIMEOUT_MS;
      const message = { hostUuid: host.uuid, timeoutMs };
      const limit = { clock, ms: timeoutMs, what: 'capacity', signal };
      const reply = await withLimit(limit, () => bus.send('CheckHostCapacity', message));
      if (reply.error !== undefined) throw reply.error;
    },
  };
}

function statusConnected({ repository }: ConnectDeps, hooks: ConnectHooks): Step<ConnectContext> {
  return {
    name: 'status-connected',
    run: async (context) => {
      const { host, message } = context;
      context.signal.throwIfAborted();
      const reason = message.reconnect ? 'reconnected' : 'connected';
      await repository.setStatus(host.uuid, 'Connected', reason);
      context.host = await repository.get(host.uuid);
      await hooks.connected(context);
    },
  };
}
