import path from 'node:path';
import { packageRoot, projectRoot } from './paths.js';

/** What runs in the lab's nodes: built programs of this repository, never imported. */
const program = (name: string): string => path.join(projectRoot, 'packages', name, 'dist/main.js');

export const agentProgram = program('agent');
export const serverProgram = program('management');
export const cliProgram = program('cli');
export const apiBridgeProgram = path.join(packageRoot, 'dist/cluster/apiBridge.js');
