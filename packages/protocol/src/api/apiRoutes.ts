import { hostRoutes } from './hostRoutes.js';
import { siteRoutes } from './siteRoutes.js';
import { vmRoutes } from './vmRoutes.js';

/** Every route of the server's API that has one answer, stated once. */
export const apiRoutes = { ...hostRoutes, ...vmRoutes, ...siteRoutes } as const;
