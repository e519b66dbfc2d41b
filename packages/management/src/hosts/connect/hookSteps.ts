import { messageOf, type Step } from '@fenceline/common';
import type { ConnectContext, ConnectDeps } from './context.js';
import { hookContext } from './context.js';

/**
 * C9: the after-connect hooks as one step of the connect: one after the other, null = no hook,
 * started steps remembered; the flow engine asks for the rollback on their own failure and on any
 * later one.
 */
export function afterConnectHooksStep(deps: ConnectDeps): Step<ConnectContext> {
  return {
    name: 'after-connect-hooks',
    run: (context) =>
      context.budget.run('after-connect hooks', async (signal) => {
        for (const hook of deps.extensions.afterConnectHooks) {
          const given = hookContext(context, signal);
          const flow = hook.createAfterConnectHookFlow(
            given.host,
            given.info,
            given.info.reconnect,
          );
          for (const step of flow?.steps ?? []) {
            if (step.skip?.(given) === true) continue;
            signal.throwIfAborted();
            context.startedHookSteps.push({ step, context: given });
            await step.run(given);
          }
        }
      }),
    rollback: async (context, why) => {
      for (const { step, context: given } of context.startedHookSteps.toReversed())
        try {
          await step.rollback?.(given, why);
        } catch (thrown) {
          deps.log.error('rollback failed, the rest goes on', {
            step: step.name,
            hostUuid: given.host.uuid,
            error: messageOf(thrown),
          });
        }
    },
  };
}
