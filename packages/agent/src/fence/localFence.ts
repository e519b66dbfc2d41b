import { messageOf, type Clock, type Logger, type Random } from '@fenceline/common';
import { dashed, FenceVmsFromPeerRsp, isUuid, type FenceVm } from '@fenceline/protocol';
import type { LocalFence, LocalFenceRequest } from '../vms/localFence.js';
import { answerFields, localErrorVerdict, outputLimit, verdictFor } from './answers.js';
import { encodeOrder, type FenceOrder } from './order.js';
import type { FenceProgramRunner } from './programSession.js';
import { runOrder } from './runOrder.js';

export interface LocalFencePorts {
  clock: Clock;
  random: Random;
  log: Logger;
  runner: FenceProgramRunner;
  /** This host's uuid, dashed; undefined as long as it belongs to no cluster. */
  hostUuid: () => Promise<string | undefined>;
}

/** The program answers this long before its own end, so that the answer still gets through. */
const ANSWER_MARGIN_MS = 250;

/** The same program, the same rules, without SSH (proofs vmNotRunning, cleanStop, neverBegan). */
export function makeLocalFence(ports: LocalFencePorts): LocalFence {
  return {
    fence: async (request) => {
      try {
        return await fenceHere(ports, request);
      } catch (error) {
        ports.log.error('the fence program could not be run', { error: messageOf(error) });
        return failed(request.vms, messageOf(error));
      }
    },
  };
}

async function fenceHere(
  ports: LocalFencePorts,
  request: LocalFenceRequest,
): Promise<FenceVmsFromPeerRsp> {
  const begun = ports.clock.monotonicMs();
  const hostUuid = await ports.hostUuid();
  if (hostUuid === undefined || !isUuid(hostUuid))
    throw new Error('this host belongs to no cluster yet');
  const order: FenceOrder = {
    mode: 'fence',
    nonce: ports.random.hex(16),
    hostUuid,
    deadlineMs: Math.max(200, request.deadlineMs - ANSWER_MARGIN_MS),
    killGraceMs: request.killGraceMs,
    vms: request.vms,
  };
  const session = await ports.runner.start({
    maxOutputBytes: outputLimit(encodeOrder(order)),
    limitMs: request.deadlineMs + ANSWER_MARGIN_MS,
  });
  const result = await runOrder(session, order, {
    clock: ports.clock,
    limitMs: request.deadlineMs,
    signal: new AbortController().signal,
  });
  const expected = { nonce: order.nonce, hostUuid: dashed(hostUuid) };
  const execMs = ports.clock.monotonicMs() - begun;
  return Object.assign(new FenceVmsFromPeerRsp(), {
    success: true,
    ...answerFields({
      end: result.answer.end,
      stages: [{ name: 'exec', ms: execMs }],
      output: session.output(),
    }),
    verdicts: request.vms.map((vm) => verdictFor(vm, { kind: 'session', ...result }, expected)),
  });
}

function failed(vms: readonly FenceVm[], message: string): FenceVmsFromPeerRsp {
  return Object.assign(new FenceVmsFromPeerRsp(), {
    success: false,
    error: { code: 'INTERNAL', message },
    ...answerFields({ end: undefined, stages: [], output: undefined }),
    verdicts: vms.map(localErrorVerdict),
  });
}
