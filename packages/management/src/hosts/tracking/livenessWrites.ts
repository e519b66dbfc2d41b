import { DomainError } from '@fenceline/protocol';
import type { Liveness } from '../../store/schema.js';
import type { LivenessArrow } from '../liveness.js';
import type { HostRepository } from '../repository.js';

/**
 * Applies an arrow if it is legal from where the host is now; the HA domain may have moved it to
 * fencing or fenced meanwhile, and then the tracking has nothing to say. Answers the liveness
 * before.
 */
export async function tryLiveness(
  repository: HostRepository,
  hostUuid: string,
  { arrow, reason }: { arrow: LivenessArrow; reason: string },
): Promise<Liveness> {
  const before = (await repository.get(hostUuid)).liveness;
  try {
    await repository.applyLiveness(hostUuid, arrow, reason);
  } catch (thrown) {
    const illegal = thrown instanceof DomainError && 'from' in thrown.facts;
    if (!illegal) throw thrown;
  }
  return before;
}
