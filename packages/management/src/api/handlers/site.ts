import type { Handlers } from '@fenceline/common';
import type { siteRoutes } from '@fenceline/protocol';
import { listNodes } from '../../cluster/node.js';
import type { ApiContext } from '../context.js';
import { listEvents } from '../queries/events.js';
import { find } from '../queries/lookup.js';
import { listAudit, listTokens, readiness, status } from '../queries/site.js';

export function siteHandlers(context: ApiContext): Handlers<typeof siteRoutes> {
  const { store, settings, clock, health, node, tokens, audit, services } = context;
  const { seen } = services;
  const { db } = store;
  return {
    status: () =>
      status(db, { clock, ha: settings.current().ha, storeProblem: health.problem(), seen }),
    readiness: () => readiness(db, settings.current().ha, seen),
    listEvents: (query) => listEvents(db, query),
    listSettings: async () => ({ items: await settings.list() }),
    showSetting: ({ name }) => settings.show(name),
    putSetting: ({ name, value, reason }, { caller }) =>
      settings.put({ name, value, reason, actor: caller }),
    listNodes: async () => ({ items: await listNodes(db, node) }),
    listTokens: (query) => listTokens(db, query),
    createToken: async ({ name, role }, { caller }) => {
      const entry = { actor: caller, action: 'token.create', target: name, facts: { role } };
      const { row, token } = await audit.change(entry, () => tokens.create({ name, role }));
      const { tokenSha256: _hash, ...view } = row;
      return { ...view, token: token.reveal() };
    },
    revokeToken: async ({ token }, { caller }) => {
      const { uuid, name } = await find(db, 'tokens', token);
      const entry = { actor: caller, action: 'token.revoke', target: uuid, facts: { name } };
      await audit.change(entry, () => tokens.revoke(uuid));
      return { uuid };
    },
    listAudit: (query) => listAudit(db, query),
  };
}
