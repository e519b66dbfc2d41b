import type { Handlers } from '@fenceline/common';
import type { siteRoutes } from '@fenceline/protocol';
import { listNodes } from '../../cluster/node.js';
import type { ApiContext } from '../context.js';
import { listEvents } from '../queries/events.js';
import { tellSinglePolicy } from '../../settings/singlePolicy.js';
import { find } from '../queries/lookup.js';
import type { HaOf } from '../queries/vms.js';
import { listAudit, listTokens, readiness, status } from '../queries/site.js';

export function siteHandlers(context: ApiContext): Handlers<typeof siteRoutes> {
  const { store, settings, clock, health, node, tokens, audit, services } = context;
  const { seen, chain } = services;
  const { db } = store;
  const haOf: HaOf = (clusterUuid) => settings.current(clusterUuid).ha;
  const named = (cluster: string | undefined) =>
    cluster === undefined ? undefined : find(db, 'clusters', cluster);
  return {
    status: () => {
      const problems = { storeProblem: health.problem(), chainProblem: chain.problem() };
      return status(db, { clock, haOf, seen, ...problems });
    },
    readiness: () => readiness(db, haOf, seen),
    listEvents: (query) => listEvents(db, query),
    listSettings: async ({ cluster }) => ({ items: await settings.list(await named(cluster)) }),
    showSetting: async ({ name, cluster }) => settings.show(name, await named(cluster)),
    putSetting: async ({ name, value, reason, cluster }, { caller }) => {
      const of = await named(cluster);
      const view = await settings.put({ name, value, reason, actor: caller, cluster: of });
      await tellSinglePolicy(context.events, { name, value }, of?.name);
      return view;
    },
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
