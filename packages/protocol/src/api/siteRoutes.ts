import { Nothing, route, streamRoute } from '../route.js';
import * as access from './access.js';
import { EventPage, EventView, FollowEventsRequest, ListEventsRequest } from './events.js';
import { RemovedView } from './hosts.js';
import { admins, everybody, operators } from './roles.js';
import { PageQuery } from './rules.js';
import {
  ListSettingsRequest,
  PutSettingRequest,
  SettingPage,
  SettingRequest,
  SettingView,
} from './settings.js';
import { NodePage, ReadinessView, StatusView } from './status.js';

/** The site as a whole: status, readiness, events, settings, access. */
export const siteRoutes = {
  status: route({
    name: 'status',
    method: 'GET',
    path: '/v1/status',
    request: Nothing,
    response: StatusView,
    roles: everybody,
    summary: 'Hosts, VMs, open tasks and alarms of one moment.',
  }),
  readiness: route({
    name: 'readiness',
    method: 'GET',
    path: '/v1/readiness',
    request: Nothing,
    response: ReadinessView,
    roles: everybody,
    summary: 'Who could fence whom, and which proofs would work if a host vanished now.',
  }),
  listEvents: route({
    name: 'listEvents',
    method: 'GET',
    path: '/v1/events',
    request: ListEventsRequest,
    response: EventPage,
    roles: everybody,
    summary: 'Events, newest first; with `after` oldest first from there.',
  }),
  listSettings: route({
    name: 'listSettings',
    method: 'GET',
    path: '/v1/settings',
    request: ListSettingsRequest,
    response: SettingPage,
    roles: everybody,
    summary: 'Every setting with value, default, unit and range; or those of one cluster.',
  }),
  showSetting: route({
    name: 'showSetting',
    method: 'GET',
    path: '/v1/settings/:name',
    request: SettingRequest,
    response: SettingView,
    roles: everybody,
    summary: 'One setting by its path.',
  }),
  putSetting: route({
    name: 'putSetting',
    method: 'PUT',
    path: '/v1/settings/:name',
    request: PutSettingRequest,
    response: SettingView,
    roles: admins,
    summary: 'Change one setting; in force with its next use. `null` takes the change back.',
  }),
  listNodes: route({
    name: 'listNodes',
    method: 'GET',
    path: '/v1/management-nodes',
    request: PageQuery,
    response: NodePage,
    roles: everybody,
    summary: 'The management nodes.',
  }),
  listTokens: route({
    name: 'listTokens',
    method: 'GET',
    path: '/v1/tokens',
    request: PageQuery,
    response: access.TokenPage,
    roles: admins,
    summary: 'Access tokens, without the tokens themselves.',
  }),
  createToken: route({
    name: 'createToken',
    method: 'POST',
    path: '/v1/tokens',
    request: access.CreateTokenRequest,
    response: access.CreatedTokenView,
    roles: admins,
    summary: 'Make an access token; it is shown in this answer only.',
  }),
  revokeToken: route({
    name: 'revokeToken',
    method: 'DELETE',
    path: '/v1/tokens/:token',
    request: access.TokenRequest,
    response: RemovedView,
    roles: admins,
    summary: 'Make a token worthless at once.',
  }),
  listAudit: route({
    name: 'listAudit',
    method: 'GET',
    path: '/v1/audit',
    request: access.ListAuditRequest,
    response: access.AuditPage,
    roles: operators,
    summary: 'Who changed what, newest first.',
  }),
} as const;

/** Streams of the server. */
export const apiStreams = {
  followEvents: streamRoute({
    name: 'followEvents',
    method: 'GET',
    path: '/v1/events',
    request: FollowEventsRequest,
    item: EventView,
    roles: everybody,
    summary: 'With `follow=true`: events as they happen, as server-sent events.',
  }),
} as const;
