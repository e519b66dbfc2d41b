import { DomainError } from '@fenceline/protocol';
import type { ApiServices, NewHost } from '../../src/api/services.js';
import type { Store } from '../../src/store/store.js';
import { hostRow, ids, vmRow } from './seed.js';

/** What the API asked of the other domains, in order. */
export interface Asked {
  what: string;
  [fact: string]: unknown;
}

const fakeSeen: ApiServices['seen'] = {
  linesTo: (hostUuid) =>
    hostUuid === ids.h1
      ? [
          {
            keeperUuid: ids.h3,
            ways: ['ssh'],
            state: 'standing',
            roundTripMs: 1.5,
            answers: true,
          },
        ]
      : [],
  missingSince: () => undefined,
  orderTokens: (hostUuid) => (hostUuid === ids.h1 ? 16 : undefined),
};

/** Services behind the API's ports that write just what the API reads back. */
export function fakeServices(store: Store): { services: ApiServices; asked: Asked[] } {
  const asked: Asked[] = [];
  const note: Note = (what, facts) => {
    asked.push({ what, ...facts });
    return Promise.resolve();
  };
  const add = async (host: NewHost): Promise<{ hostUuid: string }> => {
    await note('add', host);
    const hostUuid = '00000000-0000-4000-8000-000000000009';
    await store.db.insertInto('hosts').values(hostRow(hostUuid, host.name)).execute();
    return { hostUuid };
  };
  const services: ApiServices = {
    seen: fakeSeen,
    chain: { problem: () => undefined },
    hosts: {
      add,
      reconnect: (hostUuid) => note('reconnect', { hostUuid }),
      setState: (hostUuid, state) => note('setState', { hostUuid, state }),
      remove: async (hostUuid) => {
        await note('remove', { hostUuid });
        if (hostUuid === ids.h1)
          throw new DomainError('REFUSED', 'h1 has an open run of web1; stop it first');
      },
      setPowerLevels: (hostUuid, levels) =>
        note('setPowerLevels', { hostUuid, devices: levels.flat().map(({ agent }) => agent) }),
      verifyPower: async (hostUuid, level) => {
        await note('verifyPower', { hostUuid, level });
        return { verifiedAt: '2026-01-02T00:00:00.000Z' };
      },
      setLogin: (hostUuid, { kind }) => note('setLogin', { hostUuid, kind }),
      removeLogin: (hostUuid) => note('removeLogin', { hostUuid }),
      rotateKey: async (hostUuid, ask) => {
        await note('rotateKey', { hostUuid, ...ask });
        return { fencePublicKey: 'ssh-ed25519 AAAA', untold: ['h2'] };
      },
    },
    vms: fakeVms(store, note),
    tasks: {
      retry: (taskUuid, actor) => note('retry', { taskUuid, actor }),
      abandon: (taskUuid, ask) => note('abandon', { taskUuid, ...ask }),
    },
    confirmDead: {
      confirmDead: async (ask) => {
        await note('confirmDead', ask);
        return { vmUuids: [ids.web1], expiresAt: '2026-01-01T00:10:00.000Z' };
      },
    },
  };
  return { services, asked };
}

type Note = (what: string, facts: object) => Promise<void>;

function fakeVms(store: Store, note: Note): ApiServices['vms'] {
  return {
    importVm: async (ask) => {
      await note('importVm', ask);
      const vmUuid = '00000000-0000-4000-8000-0000000000a9';
      await store.db.insertInto('vms').values(vmRow(vmUuid, ask.vm)).execute();
      return { vmUuid };
    },
    protect: (vmUuid, wish) => note('protect', { vmUuid, ...wish }),
    start: async (vmUuid, ask) => {
      await note('start', { vmUuid, ...ask });
      return {};
    },
    stop: async (vmUuid, ask) => {
      await note('stop', { vmUuid, ...ask });
      return {};
    },
    haStart: async (vmUuid, ask) => {
      await note('haStart', { vmUuid, ...ask });
      return { taskUuid: ids.task };
    },
  };
}
