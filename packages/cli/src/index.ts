export { EXIT } from './failure.js';
export { runCli } from './program.js';
export type { Connection, World } from './world.js';
