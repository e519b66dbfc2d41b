import { axiosTransport, type TlsFiles } from '@fenceline/common';
import { agentRoutes, DomainError, readAnswer } from '@fenceline/protocol';
import type { EchoCaller } from '../echoCaller.js';

/** Echo over HTTPS with this host's own certificate (role `sibling`). */
export function httpsEcho(tls: TlsFiles): EchoCaller {
  return {
    echo: async ({ address, port, nonce }, { limitMs, signal }) => {
      const host = address.includes(':') ? `[${address}]` : address;
      const transport = axiosTransport({ baseUrl: `https://${host}:${port}`, tls });
      const { method, path } = agentRoutes.echo;
      const raw = await transport.send(
        { method, path, fields: { nonce } },
        { deadlineMs: limitMs, signal },
      );
      const answer = readAnswer(agentRoutes.echo, raw);
      if (!answer.success || answer.nonce !== nonce)
        throw new DomainError('REFUSED', 'the echo does not fit its question');
      return answer.hostUuid;
    },
  };
}
