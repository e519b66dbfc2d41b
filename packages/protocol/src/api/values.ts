/** The values that the API speaks of; the tables of states are in names of the glossary. */

/** Connection of a host. */
export const HOST_STATUSES = ['Connecting', 'Connected', 'Disconnected'] as const;
export type HostStatus = (typeof HOST_STATUSES)[number];

/** Administrator's wish for a host. */
export const HOST_STATES = ['Enabled', 'Disabled', 'PreMaintenance', 'Maintenance'] as const;
export type HostState = (typeof HOST_STATES)[number];

/** Judged life of a host (D7). */
export const LIVENESSES = ['online', 'late', 'suspect', 'isolated', 'fencing', 'fenced'] as const;
export type Liveness = (typeof LIVENESSES)[number];

export const RUN_STATES = ['maybe', 'incoming', 'running', 'closed'] as const;
export type RunState = (typeof RUN_STATES)[number];

export const TASK_STATES = [
  'waiting',
  'judging',
  'fencing',
  'extending',
  'marking',
  'starting',
  'verifying',
  'done',
  'refused',
  'cancelled',
  'abandoned',
  'paused',
] as const;
export type TaskState = (typeof TASK_STATES)[number];

export const HA_LEVELS = ['none', 'onHostFailure', 'neverStop'] as const;
export type HaLevel = (typeof HA_LEVELS)[number];

export const PRIORITIES = ['highest', 'high', 'normal', 'low', 'lowest'] as const;
export type Priority = (typeof PRIORITIES)[number];

export const STEP_RESULTS = ['started', 'done', 'failed', 'skipped'] as const;
export type StepResult = (typeof STEP_RESULTS)[number];

export const SEVERITIES = ['info', 'warning', 'critical'] as const;
export type Severity = (typeof SEVERITIES)[number];

/** Roles of people and programs that call the API; each may do what the ones before it may. */
export const API_ROLES = ['viewer', 'operator', 'admin'] as const;
export type ApiRole = (typeof API_ROLES)[number];

/** What is known of a host's power device. */
export const POWER_READINESS = ['none', 'unverified', 'verified'] as const;
export type PowerReadiness = (typeof POWER_READINESS)[number];

/** Proofs that would work if a host vanished now (D19). */
export const READY_PROOFS = ['peer', 'power'] as const;
export type ReadyProof = (typeof READY_PROOFS)[number];

/** Kinds of events, as they are stored and asked for. */
export const EVENT_KINDS = [
  'fence.line.back',
  'fence.line.none',
  'fence.tokens.none',
  'ha.fence.asked',
  'ha.fence.defect',
  'ha.fence.proof',
  'ha.placed',
  'ha.start.sent',
  'ha.task.abandoned',
  'ha.task.calledOff',
  'ha.task.cancelled',
  'ha.task.done',
  'ha.task.refused',
  'ha.unreachable.single',
  'host.added',
  'host.confirmedDead',
  'host.connectFailed',
  'host.fenceKeyRotated',
  'host.hookFailed',
  'host.hookWorks',
  'host.judged',
  'host.liveness',
  'host.powerNotProven',
  'host.powerRefused',
  'host.powerSet',
  'host.powerVerified',
  'host.removed',
  'host.state',
  'host.status',
  'power.orderSettled',
  'proofs.chainBroken',
  'server.network',
  'server.stalled',
  'vm.adopted',
  'vm.imported',
  'vm.runsTwice',
  'vm.seenRunning',
  'vm.stateRestored',
  'vm.stopTakenBack',
  'vm.stopped',
] as const;
export type EventKind = (typeof EVENT_KINDS)[number];
