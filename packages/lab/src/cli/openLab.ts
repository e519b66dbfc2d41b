import type { Lab, LabOptions } from '../client.js';

/** Opens the lab that the command line names. */
export type OpenLab = (options?: LabOptions) => Lab;
