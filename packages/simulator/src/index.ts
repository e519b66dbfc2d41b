export * from './checker/checkDisk.js';
export * from './site/simSite.js';
