export * from './recordingLogger.js';
export * from './seededRandom.js';
export * from './testCertificates.js';
export * from './virtualClock.js';
export * from './proofSamples.js';
