/** Who may look. */
export const everybody = ['viewer', 'operator', 'admin'] as const;
/** Who may act on VMs, tasks and connections. */
export const operators = ['operator', 'admin'] as const;
/** Who may change what the site consists of, its settings and who has access. */
export const admins = ['admin'] as const;
