import { agentRoutes } from '@fenceline/protocol';
import type { MessageHandler } from '../../messages/bus.js';
import { checkCapacity } from './checks.js';
import { callAgent, type ConnectDeps } from './context.js';

/**
 * C7: asks a host for its CPUs and memory, stores them, and refuses what is below the reserve. It
 * waits in no queue: the connect that asks for it holds the host's.
 */
export function capacityHandler(
  deps: ConnectDeps,
  stopping: AbortSignal,
): MessageHandler<'CheckHostCapacity'> {
  const { repository, gateway, settings } = deps;
  return {
    run: async ({ hostUuid, timeoutMs }, signal) => {
      const host = await repository.get(hostUuid);
      const either = AbortSignal.any([signal, stopping]);
      const call = { command: {}, deadlineMs: timeoutMs, signal: either };
      const answer = await callAgent({ gateway, host }, agentRoutes.capacity, call);
      const capacity = { cpus: answer.cpus, memoryMiB: answer.memoryMiB };
      await repository.update(hostUuid, capacity);
      const { reserveMemoryMiB, reserveCpuPercent } = settings.current().host;
      checkCapacity(host, capacity, {
        memoryMiB: reserveMemoryMiB,
        cpuPercent: reserveCpuPercent,
      });
      return { capacity };
    },
  };
}
