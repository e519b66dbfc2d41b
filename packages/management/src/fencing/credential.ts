import { messageOf, type Logger } from '@fenceline/common';
import { agentRoutes, credentialContext, type SealedCredential } from '@fenceline/protocol';
import type { AgentGateway } from '../hosts/agentGateway.js';
import type { HostInfo } from '../hosts/contracts.js';
import type { HostLogins } from '../hosts/hostLogins.js';

/** The agent answers from memory. */
const KEY_MS = 2_000;

export interface CredentialDeps {
  gateway: AgentGateway;
  logins: Pick<HostLogins, 'has' | 'sealedFor'>;
}

/**
 * The suspect's stored login, sealed for this one peer and this one call (F30); undefined if there
 * is none, or the peer can't take one: then it has its own key only.
 */
export async function credentialFor(
  { gateway, logins }: CredentialDeps,
  call: { peer: HostInfo; suspect: HostInfo; log: Logger },
): Promise<SealedCredential | undefined> {
  const { peer, suspect, log } = call;
  try {
    if (!(await logins.has(suspect.uuid))) return undefined;
    const address = { hostUuid: peer.uuid, address: peer.addresses[0] ?? '', port: peer.agentPort };
    const targetHostUuid = suspect.uuid;
    const ask = { command: { targetHostUuid }, deadlineMs: KEY_MS };
    const { keyId, publicKey } = await gateway.call(address, agentRoutes.credentialKey, ask);
    const context = credentialContext({ keyId, peerUuid: peer.uuid, targetHostUuid });
    const box = await logins.sealedFor(suspect.uuid, { publicKey, context });
    return box === undefined ? undefined : { keyId, ...box };
  } catch (thrown) {
    log.warn('no credential for this call', { error: messageOf(thrown) });
    return undefined;
  }
}
