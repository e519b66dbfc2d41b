import { execFile } from 'node:child_process';

export interface ToolResult {
  /** Undefined: it could not be started, was killed, or said too much. */
  code: number | undefined;
  stdout: string;
}

/** Runs one program without a shell and without input, bounded in time and output. Never throws. */
export function runTool(
  file: string,
  args: readonly string[],
  limits: { ms: number; signal: AbortSignal },
): Promise<ToolResult> {
  return new Promise((resolve) => {
    const options = {
      timeout: Math.max(1, Math.ceil(limits.ms)),
      killSignal: 'SIGKILL' as const,
      maxBuffer: 262_144,
      signal: limits.signal,
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
    };
    const child = execFile(file, [...args], options, (error, stdout) => {
      if (error === null) resolve({ code: 0, stdout });
      else resolve({ code: typeof error.code === 'number' ? error.code : undefined, stdout });
    });
    child.stdin?.on('error', () => undefined);
    child.stdin?.end();
  });
}
