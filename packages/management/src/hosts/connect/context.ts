import type { Clock, Logger, Random, Step } from '@fenceline/common';
import { DomainError, type CallOptions, type FactsRsp, type Route } from '@fenceline/protocol';
import type { MessageBus } from '../../messages/bus.js';
import type { ConnectHostMsg } from '../../messages/types.js';
import type { SettingsSource } from '../../settings/settings.js';
import type { Events } from '../../telemetry/events.js';
import type { AgentGateway } from '../agentGateway.js';
import { agentOf, type Host } from '../host.js';
import type { InventoryRepository } from '../inventoryRepository.js';
import type { HostRepository, Owner } from '../repository.js';
import { agentFailure } from './agentFailure.js';
import type { Budget } from './budget.js';
import type { ConnectExtensions, ConnectInfo, HookContext } from './extensions.js';

/** What connecting needs of the world. */
export interface ConnectDeps {
  clock: Clock;
  random: Random;
  log: Logger;
  events: Events;
  bus: MessageBus;
  gateway: AgentGateway;
  settings: SettingsSource;
  owner: Owner;
  repository: HostRepository;
  inventory: InventoryRepository;
  extensions: ConnectExtensions;
}

/** One connect under way; each step reads what the steps before it have learned. */
export interface ConnectContext {
  readonly message: ConnectHostMsg;
  /** Time of all steps but the capacity check. */
  readonly budget: Budget;
  readonly signal: AbortSignal;
  host: Host;
  bootId: string;
  facts: FactsRsp | undefined;
  info: ConnectInfo | undefined;
  /** Steps of hooks that were started, for their rollback. */
  readonly startedHookSteps: { step: Step<HookContext>; context: HookContext }[];
}

/** @throws Error if a step is run before the one that fills `info`. */
export function hookContext(context: ConnectContext, signal: AbortSignal): HookContext {
  if (context.info === undefined) throw new Error('hooks run after /host/connect only');
  return { host: context.host, info: context.info, signal };
}

/** One call to an agent; every failure is a DomainError that says what to do. */
export async function callAgent<Req extends object, Rsp extends { success: boolean }>(
  { gateway, host }: { gateway: AgentGateway; host: Host },
  route: Route<Req, Rsp>,
  request: { command: Req } & CallOptions,
): Promise<Rsp> {
  let answer: Rsp;
  try {
    answer = await gateway.call(agentOf(host), route, request);
  } catch (thrown) {
    throw agentFailure(host, thrown);
  }
  if (!answer.success)
    throw new DomainError('INTERNAL', `${route.path} on ${host.name} did not succeed`);
  return answer;
}
