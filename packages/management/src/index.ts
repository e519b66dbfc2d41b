export { makeAudit } from './access/audit.js';
export { makeTokens } from './access/tokens.js';
export { makeApiDispatcher } from './api/dispatcher.js';
export { watchStore } from './api/storeHealth.js';
export { ensureDefaultCluster } from './cluster/clusters.js';
export { registerNode } from './cluster/node.js';
export { composeCore, type CoreOptions, type CorePorts, type ManagementCore } from './core.js';
export type { ProofChannel, ProofRequest } from './fencing/channels/channel.js';
export type { PowerDevice } from './fencing/power/powerDevice.js';
export type { StorageRecord, StorageRecords } from './fencing/storageRecords.js';
export { proofByPeer } from './fencing/proofs/byPeer.js';
export type { StepMark } from './ha/tasks/tasks.js';
export type { AgentAddress, AgentGateway } from './hosts/agentGateway.js';
export { Settings } from './settings/settings.js';
export { makeSettingsService } from './settings/settingsService.js';
export {
  makeMemoryDatabase,
  type LosableStore,
  type MemoryDatabase,
} from './store/adapters/memoryDatabase.js';
export { makeEvents, type Events } from './telemetry/events.js';
export { composeServer } from './compose.js';
export type { ComposeOptions, Server } from './composeTypes.js';
export { realWorld } from './program/adapters/realWorld.js';
export { runServer } from './program/serverProgram.js';
