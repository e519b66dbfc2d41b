import { messageOf, unreachable } from '@fenceline/common';
import {
  BadAnswerError,
  DomainError,
  isErrorCode,
  RemoteError,
  TransportError,
  type TransportFailure,
} from '@fenceline/protocol';
import { agentOf, type Host } from '../host.js';

/** What went wrong with a call to a host's agent, as a sentence that says what to do. */
export function agentFailure(host: Host, thrown: unknown): DomainError {
  const { address, port } = agentOf(host);
  const where = `the agent of ${host.name} (${address}:${port})`;
  if (thrown instanceof TransportError)
    return new DomainError(
      'HOST_UNREACHABLE',
      `${where}: ${adviceOf(thrown.failure)}${thrown.failure === 'other' ? ` (${messageOf(thrown)})` : ''}`,
      {
        hostUuid: host.uuid,
        failure: thrown.failure,
      },
    );
  const told = thrown instanceof DomainError || thrown instanceof RemoteError;
  if (told && thrown.code === 'NO_SUCH_ROUTE')
    return new DomainError(
      'CONFLICT',
      `${where} is too old: ${thrown.message}; upgrade fenceline-agent on that host`,
      { hostUuid: host.uuid },
    );
  if (thrown instanceof RemoteError) {
    const code = isErrorCode(thrown.code) ? thrown.code : 'INTERNAL';
    return new DomainError(code, `${where} refused: ${thrown.message}`, thrown.facts);
  }
  if (thrown instanceof BadAnswerError)
    return new DomainError('INTERNAL', `${where} answered what can't be read: ${thrown.message}`);
  if (thrown instanceof DomainError) return thrown;
  return new DomainError('INTERNAL', `${where}: ${messageOf(thrown)}`);
}

function adviceOf(failure: TransportFailure): string {
  switch (failure) {
    case 'refused':
      return 'nothing listens there; start fenceline-agent on that host';
    case 'reset':
      return 'the connection was cut; look at the log of fenceline-agent on that host';
    case 'unreachable':
    case 'timeout':
      return 'no answer; check the address, the port, the network and firewalls in between';
    case 'tls':
      return 'TLS failed; its certificate must come from the same CA as that of this server';
    case 'aborted':
      return 'the call was stopped';
    case 'other':
      return 'the call failed; check the address and the name';
    default:
      return unreachable(failure);
  }
}
