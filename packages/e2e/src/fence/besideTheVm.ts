import type { HostHandle } from '@fenceline/lab';
import { eventually } from '../agent/agentLab.js';

/** What people and backups run beside a VM on its disk; `comm` is the process that has the disk open. */
interface Tool {
  name: string;
  comm: string;
  command: string;
}

/** As backups open it: without the locks of the VM's qemu. */
const RAW = 'driver=raw,file.driver=file,file.locking=off,file.filename=$DISK';
/** The other end of a convert that takes minutes: each of its requests does. */
const SLOW = 'driver=null-co,size=1M,latency-ns=300000000000';
const CONVERT = 'qemu-img convert -n --image-opts --target-image-opts';

export const WRITERS: readonly Tool[] = [
  { name: 'a long convert onto it', comm: 'qemu-img', command: `${CONVERT} ${SLOW} ${RAW}` },
  {
    name: 'an export for writing',
    comm: 'qemu-nbd',
    command: `qemu-nbd -t -k /run/tools/rw --image-opts ${RAW}`,
  },
  { name: 'a dd onto it', comm: 'dd', command: 'sleep 300 | dd conv=notrunc of=$DISK' },
];

export const READERS: readonly Tool[] = [
  { name: 'a long convert of it', comm: 'qemu-img', command: `${CONVERT} -U ${RAW} ${SLOW}` },
  {
    name: 'an export for reading',
    comm: 'qemu-nbd',
    command: `qemu-nbd -r -t -k /run/tools/ro --image-opts ${RAW}`,
  },
  { name: 'a dd of it', comm: 'dd', command: 'dd if=$DISK | sleep 300' },
];

/** The tool in a session of its own, as its parent another user's, whose parent is the host's first. */
const START = `
mkdir -p -m 777 /run/tools; chmod 666 "$DISK"; cd /run/tools
setsid --fork setpriv --reuid 65534 --regid 65534 --clear-groups \\
  sh -c "$1 & wait" </dev/null >/run/tools/log 2>&1`;

/** The pids of processes called `$1` that have $DISK open. */
const OPENED = `
for fd in $(find /proc/[0-9]*/fd -lname "$DISK" 2>/dev/null); do
  pid=\${fd#/proc/}; pid=\${pid%%/*}; [ "$(cat /proc/$pid/comm)" != "$1" ] || echo $pid
done`;

/** Starts it. Resolves with its pid when it has the disk open. */
export async function startTool(host: HostHandle, tool: Tool, disk: string): Promise<number> {
  const run = (script: string, word: string): Promise<string> =>
    host.mustExec(['env', `DISK=${disk}`, 'sh', '-c', script, 'sh', word]);
  await run(START, tool.command);
  let pid = 0;
  await eventually(`${tool.name} has the disk open`, async () => {
    pid = Number((await run(OPENED, tool.comm)).split('\n')[0]);
    return pid > 0;
  });
  return pid;
}

/** Ends a tool with all that runs in its session. */
export async function endTools(host: HostHandle): Promise<void> {
  await host.mustExec(['sh', '-c', 'pkill -9 -u 65534 || true']);
  await eventually('the tools have ended', async () => {
    return (await host.exec(['pgrep', '-u', '65534'])).code !== 0;
  });
}
