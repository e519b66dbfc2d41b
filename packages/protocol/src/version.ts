/** Version of the wire protocol between server and agents; grows with every incompatible change. */
export const PROTOCOL_VERSION = 1;

/** Version of this software; agents and servers report it, upgrades compare it. */
export const FENCELINE_VERSION = '0.1.0';
