import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from '@jest/globals';

// The real program against real processes, in a pid namespace of its own in which it is root. What
// runs there: a bash that plays the host, fake qemus (a process with qemu's arguments) and a virsh
// that says what the test wants. Everything ends with the namespace.

export const BASH_PROGRAM = join(import.meta.dirname, '../src/fence/program/fenceline-fence');
export const NATIVE = join(import.meta.dirname, '../../native');
const PROGRAMS = {
  bash: BASH_PROGRAM,
  native: join(NATIVE, 'build/fenceline-fence'),
  /** The native one, dynamic: calls of it can be made to fail (packages/native/test/inject.c). */
  dynamic: join(NATIVE, 'build/dynamic/fenceline-fence'),
};
export type Program = keyof typeof PROGRAMS;
export const VM = '11111111-2222-3333-4444-555555555555';
export const OTHER = '11111111-2222-3333-4444-555555555556';
export const HOST = 'aaaaaaaa-2222-3333-4444-555555555555';
export const NONCE = '00112233445566778899aabbccddeeff';

const VIRSH = `#!/bin/bash
# Answers as the file "virsh.mode" says: ok (shut off), running, unknown VM, broken connection …
mode=$(cat "$SANDBOX/virsh.mode")
echo "\${*//$'\\n'/}" >>"$SANDBOX/virsh.log"
while [[ $1 == -* ]]; do [[ $1 != -c ]] || shift; shift; done
[[ $1 != destroy ]] || { [[ $mode != hang ]] || exec sleep 1000; touch "$SANDBOX/destroyed"; exit 0; }
[[ $mode != hang ]] || exec sleep 1000
if [[ $mode == unknown || $mode == broken ]]; then
  u=\${1#echo @ }; u=\${u%%;*}
  echo "@ $u"
  for i in 1 2 3; do echo "error: failed to get domain '$u'" >&2; done
  [[ $mode != broken ]] || echo 'error: Cannot recv data: Connection reset by peer' >&2
  exit 1
fi
[[ $mode != dead ]] || { echo "error: failed to connect to the hypervisor" >&2; exit 1; }
IFS=';' read -ra words <<<"$1"
for word in "\${words[@]}"; do
  read -r a b <<<"$word"
  case $a in
    echo) echo "$b"; cat "$SANDBOX/run/barriers/\${b#@ }" >>"$SANDBOX/barrier.at.ask" ;;
    domname) echo "web-$b"; echo ;;
    domid) if [[ $mode == running ]]; then echo 5; else echo -; fi; echo ;;
    domstate) if [[ $mode == running ]]; then echo running; else echo 'shut off'; fi; echo ;;
  esac
done
`;

const PREAMBLE = `
set -u
export SANDBOX=$PWD FENCELINE_RUN_DIR=$PWD/run FENCELINE_STATE_DIR=$PWD/state
export FENCELINE_PATH=$PWD/bin:/usr/sbin:/usr/bin:/sbin:/bin
VM=${VM} OTHER=${OTHER} WORDS=
SPIN='exec {f}<> <(:); while :; do read -t 1000 -u $f; done'
qemu() { ( exec -a /usr/bin/qemu-system-x86_64 bash -c "$SPIN" "$@" ) & LAST=$!; settle; }
named() { local name=$1; shift; ( exec -a "$name" bash -c "$SPIN" "$@" ) & LAST=$!; settle; }
# Until it waits, and the child that it made for that has ended: that one had the same arguments.
settle() { until [[ $(tr '\\0' ' ' </proc/$LAST/cmdline) == *read\\ -t* && -z $(children) ]]; do sleep 0.01; done; }
children() { local c; for c in $(</proc/$LAST/task/$LAST/children); do tr '\\0' ' ' </proc/$c/cmdline; done 2>/dev/null; }
mark() { printf 'name=opt/org.fenceline/run,string=%s' "$1"; }
starttime() { local s; s=$(cat /proc/$1/stat); s=\${s##*) }; set -- $s; echo "\${20}"; }
order() { # EPOCH DISKS… (extra head words in HEAD)
  local epoch=$1; shift
  printf '%s\\n' 'fenceline-peer 1' "\${MODE:-fence} ${NONCE} token=- deadline_ms=\${DEADLINE:-5000} vms=1 grace_ms=\${GRACE:-20} \${HEAD:-}" "vm $VM epoch=$epoch $*"
}
fence() { order "$@" | $PROGRAM $WORDS; }
alive() { kill -0 "$1" 2>/dev/null && [[ $(cut -d' ' -f3 /proc/$1/stat) != Z ]] && echo "alive $2" || echo "gone $2"; }
`;

export interface HostScript {
  /**
   * `$PROGRAM` in it is the program under test, `$WORDS` its arguments in `fence`; of `$BREAKABLE`
   * calls can be made to fail by LD_PRELOAD.
   */
  script: string;
  virsh?: 'ok' | 'running' | 'hang' | 'dead' | 'unknown' | 'broken';
  /** Pid 1 of the namespace gets these arguments: a process that SIGKILL from inside can't end. */
  unkillable?: 'qemu' | 'zombieLeader' | 'libvirtd';
  limitMs?: number;
}

const ZOMBIE_LEADER = `
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
static void *work(void *script) {
  if (fork() == 0) { execl("/bin/bash", "bash", (char *)script, (char *)0); _exit(1); }
  int status;
  while (1) { pid_t pid = wait(&status); if (pid < 0) break; }
  _exit(0);
}
int main(int argc, char **argv) {
  pthread_t t;
  pthread_create(&t, 0, work, argv[1]);
  pthread_exit(0);
}`;
const WIPED = `
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv) {
  memset(argv[0], 0, argv[argc - 1] + strlen(argv[argc - 1]) - argv[0]);
  for (;;) pause();
}`;

/** A process with a file open for writing whose main thread ends, slowly: it takes a file system down. */
const ENDING_LEADER = `
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
static void *work(void *unused) { for (;;) pause(); return unused; }
int main(int argc, char **argv) {
  pthread_t t;
  char path[64];
  if (argc != 3 || open(argv[1], O_RDWR) < 0) return 1;
  pthread_create(&t, 0, work, 0);
  if (unshare(CLONE_NEWNS) || mount(0, "/", 0, MS_REC | MS_PRIVATE, 0)) return 2;
  if (mount("t", "/mnt", "tmpfs", 0, "nr_inodes=0,size=90%")) return 3;
  for (int i = 0; i < 400000; i++) {
    sprintf(path, "/mnt/%d", i);
    if (mknod(path, S_IFREG | 0600, 0)) return 4;
  }
  close(creat(argv[2], 0600));
  pthread_exit(0);
}`;

/**
 * Lets opens below /proc/PID of one process, or the listing of /proc, fail as without memory; only
 * in programs whose command line holds ENOMEM_IN, if that is given.
 */
const ENOMEM = `
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>
#include <sys/syscall.h>
#include <unistd.h>
static int applies(void) {
  const char *when = getenv("ENOMEM_WHEN");
  if (when && access(when, F_OK) != 0) return 0;
  static char args[8192];
  const char *in = getenv("ENOMEM_IN");
  int fd = in ? (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY) : -1;
  long n = fd < 0 ? 0 : read(fd, args, sizeof args);
  if (fd >= 0) close(fd);
  return !in || (n > 0 && memmem(args, n, in, strlen(in)));
}
static int fails(const char *path) {
  const char *what = getenv("ENOMEM_AT");
  if (what && path && strncmp(path, what, strlen(what)) == 0 && applies()) { errno = ENOMEM; return 1; }
  return 0;
}
#define OPEN(name) int name(const char *path, int flags, ...) { \\
  va_list ap; va_start(ap, flags); int mode = va_arg(ap, int); va_end(ap); \\
  if (fails(path)) return -1; \\
  return ((int (*)(const char *, int, int))dlsym(RTLD_NEXT, #name))(path, flags, mode); }
OPEN(open)
OPEN(open64)
DIR *opendir(const char *path) {
  const char *what = getenv("ENOMEM_DIR");
  if (what && strncmp(path, what, 5) == 0 && strlen(path) <= 6 && applies()) {
    errno = ENOMEM;
    return 0;
  }
  return ((DIR *(*)(const char *))dlsym(RTLD_NEXT, "opendir"))(path);
}`;

let tools = '';
const asRoot = process.getuid?.() === 0;
const UNSHARE = [
  ...(asRoot ? [] : ['--user', '--map-root-user']),
  '--pid',
  '--fork',
  '--mount-proc',
  '--kill-child',
];
const canUnshare = spawnSync('unshare', [...UNSHARE, 'true']).status === 0;

/** The tools and programs that tests play with; to be called in every file of tests. */
export function useTools(): void {
  beforeAll(makeTools, 60_000);
  afterAll(() => rmSync(tools, { recursive: true, force: true }));
}

/** Without a compiler this fails, and says so: nothing is left out in silence. */
function makeTools(): void {
  tools = mkdtempSync(join(tmpdir(), 'fence-tools-'));
  // Several files of tests come here at once.
  mkdirSync(join(NATIVE, 'build'), { recursive: true });
  build('flock', [
    join(NATIVE, 'build'),
    'make',
    '-sC',
    NATIVE,
    'build/fenceline-fence',
    'dynamic',
  ]);
  for (const [name, source] of Object.entries({ ZOMBIE_LEADER, ENDING_LEADER, WIPED })) {
    writeFileSync(join(tools, `${name}.c`), source);
    build('gcc', ['-O1', '-pthread', '-o', join(tools, name), join(tools, `${name}.c`)]);
  }
  writeFileSync(join(tools, 'ENOMEM.c'), ENOMEM);
  const library = ['-o', join(tools, 'ENOMEM.so'), join(tools, 'ENOMEM.c'), '-ldl'];
  build('gcc', ['-shared', '-fPIC', ...library]);
}

function build(tool: string, words: string[]): void {
  const { status, stderr, error } = spawnSync(tool, words, { encoding: 'utf8' });
  expect([tool, status, error?.message ?? stderr]).toEqual([tool, 0, '']);
}

/** Runs a script that plays a host; resolves with the lines that it and the program said. */
async function play(
  program: Program,
  options: HostScript,
): Promise<{ out: string[]; dir: string }> {
  const dir = mkdtempSync(join(tmpdir(), 'fence-host-'));
  try {
    for (const name of ['run', 'state', 'bin']) mkdirSync(join(dir, name));
    writeFileSync(join(dir, 'run/host'), `${HOST}\n`);
    writeFileSync(join(dir, 'virsh.mode'), options.virsh ?? 'ok');
    writeFileSync(join(dir, 'bin/virsh'), VIRSH);
    chmodSync(join(dir, 'bin/virsh'), 0o755);
    writeFileSync(join(dir, 'img'), 'data');
    const script = join(dir, 'script');
    writeFileSync(script, `${PREAMBLE}\n${variables(program)}\n${options.script}\n`);
    const out = await inNamespace(dir, command(script, options.unkillable), options.limitMs);
    return { out, dir };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

const FAKE_LIBVIRT = join(import.meta.dirname, 'fakeLibvirt.mjs');
const variables = (program: Program): string =>
  `LIBVIRTD="${process.execPath} ${FAKE_LIBVIRT}" TOOLS=${tools} INJECT=${NATIVE}/build/inject.so PROGRAM=${PROGRAMS[program]} ` +
  `BREAKABLE=${PROGRAMS[program === 'native' ? 'dynamic' : program]}`;

function command(script: string, unkillable: HostScript['unkillable']): string[] {
  const asQemu = (file: string): string[] => [
    'bash',
    '-c',
    `exec -a qemu-system-x86_64 ${file} ${script} -uuid ${VM}`,
  ];
  if (unkillable === 'qemu') return asQemu('bash');
  if (unkillable === 'libvirtd') return ['bash', '-c', `exec -a /usr/sbin/libvirtd bash ${script}`];
  return unkillable === 'zombieLeader' ? asQemu(join(tools, 'ZOMBIE_LEADER')) : ['bash', script];
}

function inNamespace(cwd: string, words: string[], limitMs = 18_000): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const child = spawn('unshare', [...UNSHARE, ...words], {
      cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
    child.stderr.on('data', () => undefined);
    child.on('error', reject);
    const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
    child.on('close', () => {
      clearTimeout(timer);
      resolve(text.trimEnd().split('\n'));
    });
  });
}

export const verdictOf = (out: string[], vm = VM): string =>
  out.find((line) => line.startsWith(`verdict ${vm} `))?.split(' ')[2] ?? 'none';
export const linesOf = (out: string[], word: string): string[] =>
  out.filter((line) => line.startsWith(`${word} `));
export const DISK = 'disk=file:$PWD/img';

type Play = (options: HostScript) => Promise<{ out: string[]; dir: string }>;

/** Tests with processes of their own: a pid namespace, as root or in a user namespace. */
export function onProgram(program: Program, name: string, tests: (play: Play) => void): void {
  const where = canUnshare ? describe : describe.skip;
  where(`${name} (${program})`, () => tests((options) => play(program, options)));
}

/** The same tests for the program in bash and the native one: they answer alike. */
export function onBothPrograms(name: string, tests: (play: Play) => void): void {
  onProgram('bash', name, tests);
  onProgram('native', name, tests);
}
