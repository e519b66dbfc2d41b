import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

// The real program against real processes, in a pid namespace of its own in which it is root. What
// runs there: a bash that plays the host, fake qemus (a process with qemu's arguments) and a virsh
// that says what the test wants. Everything ends with the namespace.

const PROGRAM = join(import.meta.dirname, 'fenceline-fence');
const VM = '11111111-2222-3333-4444-555555555555';
const OTHER = '11111111-2222-3333-4444-555555555556';
const HOST = 'aaaaaaaa-2222-3333-4444-555555555555';
const NONCE = '00112233445566778899aabbccddeeff';

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
VM=${VM} OTHER=${OTHER}
SPIN='exec {f}<> <(:); while :; do read -t 1000 -u $f; done'
qemu() { ( exec -a /usr/bin/qemu-system-x86_64 bash -c "$SPIN" "$@" ) & LAST=$!; settle; }
named() { local name=$1; shift; ( exec -a "$name" bash -c "$SPIN" "$@" ) & LAST=$!; settle; }
settle() { until [[ $(tr '\\0' ' ' </proc/$LAST/cmdline) == *read\\ -t* ]]; do sleep 0.01; done; }
mark() { printf 'name=opt/org.fenceline/run,string=%s' "$1"; }
starttime() { local s; s=$(cat /proc/$1/stat); s=\${s##*) }; set -- $s; echo "\${20}"; }
order() { # EPOCH DISKS… (extra head words in HEAD)
  local epoch=$1; shift
  printf '%s\\n' 'fenceline-peer 1' "\${MODE:-fence} ${NONCE} token=- deadline_ms=\${DEADLINE:-5000} vms=1 grace_ms=\${GRACE:-20} \${HEAD:-}" "vm $VM epoch=$epoch $*"
}
fence() { order "$@" | ${PROGRAM}; }
alive() { kill -0 "$1" 2>/dev/null && [[ $(cut -d' ' -f3 /proc/$1/stat) != Z ]] && echo "alive $2" || echo "gone $2"; }
`;

interface Options {
  script: string;
  virsh?: 'ok' | 'running' | 'hang' | 'dead' | 'unknown' | 'broken';
  /** Pid 1 of the namespace gets these arguments: a process that SIGKILL from inside can't end. */
  unkillable?: 'qemu' | 'zombieLeader' | 'libvirtd';
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

/** Lets opens below /proc/PID of one process, or the listing of /proc, fail as without memory. */
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
static int fails(const char *path) {
  const char *what = getenv("ENOMEM_AT");
  const char *when = getenv("ENOMEM_WHEN");
  if (when && access(when, F_OK) != 0) return 0;
  if (what && path && strncmp(path, what, strlen(what)) == 0) { errno = ENOMEM; return 1; }
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
  if (what && strncmp(path, what, 5) == 0 && strlen(path) <= 6) { errno = ENOMEM; return 0; }
  return ((DIR *(*)(const char *))dlsym(RTLD_NEXT, "opendir"))(path);
}`;

let tools = '';
const haveGcc = spawnSync('gcc', ['--version']).status === 0;
const asRoot = process.getuid?.() === 0;
const UNSHARE = [
  ...(asRoot ? [] : ['--user', '--map-root-user']),
  '--pid',
  '--fork',
  '--mount-proc',
  '--kill-child',
];
const canUnshare = spawnSync('unshare', [...UNSHARE, 'true']).status === 0;

beforeAll(() => {
  tools = mkdtempSync(join(tmpdir(), 'fence-tools-'));
  for (const [name, source] of haveGcc ? Object.entries({ ZOMBIE_LEADER, WIPED }) : []) {
    writeFileSync(join(tools, `${name}.c`), source);
    const args = ['-O1', '-pthread', '-o', join(tools, name), join(tools, `${name}.c`)];
    expect(spawnSync('gcc', args).status).toBe(0);
  }
  writeFileSync(join(tools, 'ENOMEM.c'), ENOMEM);
  const lib = ['-shared', '-fPIC', '-o', join(tools, 'ENOMEM.so'), join(tools, 'ENOMEM.c'), '-ldl'];
  if (haveGcc) expect(spawnSync('gcc', lib).status).toBe(0);
});
afterAll(() => rmSync(tools, { recursive: true, force: true }));

async function play(options: Options): Promise<{ out: string[]; dir: string }> {
  const dir = mkdtempSync(join(tmpdir(), 'fence-host-'));
  try {
    for (const name of ['run', 'state', 'bin']) mkdirSync(join(dir, name));
    writeFileSync(join(dir, 'run/host'), `${HOST}\n`);
    writeFileSync(join(dir, 'virsh.mode'), options.virsh ?? 'ok');
    writeFileSync(join(dir, 'bin/virsh'), VIRSH);
    chmodSync(join(dir, 'bin/virsh'), 0o755);
    writeFileSync(join(dir, 'img'), 'data');
    const script = join(dir, 'script');
    writeFileSync(script, `${PREAMBLE}\nTOOLS=${tools}\n${options.script}\n`);
    const out = await inNamespace(dir, command(script, options.unkillable));
    return { out, dir };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function command(script: string, unkillable: Options['unkillable']): string[] {
  const asQemu = (file: string): string[] => [
    'bash',
    '-c',
    `exec -a qemu-system-x86_64 ${file} ${script} -uuid ${VM}`,
  ];
  if (unkillable === 'qemu') return asQemu('bash');
  if (unkillable === 'libvirtd') return ['bash', '-c', `exec -a /usr/sbin/libvirtd bash ${script}`];
  return unkillable === 'zombieLeader' ? asQemu(join(tools, 'ZOMBIE_LEADER')) : ['bash', script];
}

function inNamespace(cwd: string, words: string[]): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const child = spawn('unshare', [...UNSHARE, ...words], {
      cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
    child.stderr.on('data', () => undefined);
    child.on('error', reject);
    const timer = setTimeout(() => child.kill('SIGKILL'), 18_000);
    child.on('close', () => {
      clearTimeout(timer);
      resolve(text.trimEnd().split('\n'));
    });
  });
}

const verdictOf = (out: string[], vm = VM): string =>
  out.find((line) => line.startsWith(`verdict ${vm} `))?.split(' ')[2] ?? 'none';
const linesOf = (out: string[], word: string): string[] =>
  out.filter((line) => line.startsWith(`${word} `));
const DISK = 'disk=file:$PWD/img';

(canUnshare ? describe : describe.skip)('the fence program on real processes', () => {
  test('F22: kills, verifies, and its last line is the proof: nonce, host, boot, root, control', async () => {
    const { out } = await play({
      script: `qemu -uuid $VM -fw_cfg $(mark 7); fence 7 ${DISK}; alive $LAST qemu`,
    });
    expect(out[0]).toBe('fenceline-fence 1');
    expect(linesOf(out, 'pid')[0]).toMatch(/^pid \S+ \d+ \d+ epoch=7 role=qemu$/);
    expect(verdictOf(out)).toBe('dead');
    expect(out.at(-2)).toMatch(
      new RegExp(`^end ${NONCE} host=${HOST} boot=[0-9a-f-]{36} pidns=\\d+ uid=0 control=ok`),
    );
    expect(out.at(-1)).toBe('gone qemu');
  });

  test('F22: asked twice it says the same', async () => {
    const { out } = await play({ script: `qemu -uuid $VM; fence 7 ${DISK}; fence 7 ${DISK}` });
    expect(linesOf(out, 'verdict').map((line) => line.split(' ')[2])).toEqual(['dead', 'dead']);
  });

  test('F19: libvirt is told first, then what is left is killed', async () => {
    const { out } = await play({
      virsh: 'running',
      script: `
        qemu -uuid $VM; export FENCELINE_LIBVIRT_URI=test:///x
        fence 7 ${DISK}; grep destroy virsh.log`,
    });
    expect(out.slice(-2)).toEqual([expect.stringMatching(/^end /), '-q -c test:///x destroy 5']);
    expect(verdictOf(out)).toBe('dead');
  });

  test.each([
    ['no number told', 'ok', ''],
    [
      "the number of another process's run",
      'running',
      '-chardev path=/x/domain-4-web/monitor.sock',
    ],
  ] as const)('F19: %s, no virsh destroy: it might hit a newer run', async (_why, virsh, args) => {
    const { out } = await play({
      virsh,
      script: `qemu -uuid $VM ${args}; fence 7 ${DISK}; alive $LAST qemu; grep -c destroy virsh.log`,
    });
    expect(verdictOf(out)).toBe('dead');
    expect(out.slice(-2)).toEqual(['gone qemu', '0']);
  });

  test('I3: a number that libvirt no longer knows is not taken for the name of another VM', async () => {
    const { out } = await play({
      virsh: 'running',
      script: `
        mv bin/virsh bin/virsh.real
        printf '%s\\n' '#!/bin/bash' 'printf "%q " "$@" >>"$SANDBOX/words.log"' \
          'exec "$SANDBOX/bin/virsh.real" "$@"' >bin/virsh
        chmod +x bin/virsh; qemu -uuid $VM; fence 7 ${DISK}; grep -o 'destroy.*' words.log`,
    });
    // A line feed can stand in no name; where a number is read it is skipped.
    expect(out.at(-1)).toMatch(/^destroy \$'\\n5'/);
  });

  test('F20: what only looks like the VM survives', async () => {
    const { out } = await play({
      script: `
        named tail -f /var/log/libvirt/qemu/$VM.log; TAIL=$LAST
        named vi -uuid $VM; EDITOR=$LAST
        qemu -uuid $OTHER; NEXT=$LAST
        qemu -uuid \${VM}7; LONGER=$LAST
        qemu -name guest=x-$VM -uuid $OTHER; NAMED=$LAST
        named /usr/bin/qemu-img convert -uuid $VM; IMG=$LAST
        fence 7
        alive $TAIL tail; alive $EDITOR editor; alive $NEXT next; alive $LONGER longer
        alive $NAMED named; alive $IMG img`,
    });
    expect(linesOf(out, 'gone')).toEqual([]);
    expect(linesOf(out, 'alive')).toHaveLength(6);
    expect(linesOf(out, 'pid')).toEqual([]);
  });

  test.each([
    ['-uuid $VM', 'dashed uuid'],
    ['-uuid ${VM//-/}', '32 hex digits'],
    ['-uuid ${VM^^}', 'upper case'],
    ['-name guest=$VM,debug-threads=on', 'a VM named by its uuid'],
    ['-name guest=web1 -S -uuid $VM', 'as libvirt starts it'],
  ])('F20: %s is this VM: %s', async (args) => {
    const { out } = await play({ script: `qemu ${args}; fence 7; alive $LAST qemu` });
    expect(out.at(-1)).toBe('gone qemu');
    expect(linesOf(out, 'pid')).toHaveLength(1);
  });

  test('F20: a qemu under another argv[0] is known by its executable', async () => {
    const { out } = await play({
      script: `
        cp /bin/bash ./qemu-system-x86_64
        ( exec -a vm-runner ./qemu-system-x86_64 -c "$SPIN" -uuid $VM ) & LAST=$!; settle
        printf renamed >/proc/$LAST/comm; rm ./qemu-system-x86_64
        fence 7; alive $LAST qemu`,
    });
    expect(out.at(-1)).toBe('gone qemu');
  });

  test('F20a: another writer of a disk is named, not killed, and the VM is not dead', async () => {
    const { out } = await play({
      script: `
        ln -s $PWD/img link
        ( exec 3>>img; exec -a qemu-nbd bash -c "$SPIN" ) & LAST=$!; settle
        fence 7 disk=file:$PWD/link; alive $LAST writer`,
    });
    expect(verdictOf(out)).toBe('other-writer');
    expect(linesOf(out, 'writer')[0]).toMatch(/^writer \S+ \d+ bash \/.*\/link$/);
    expect(out.at(-1)).toBe('alive writer');
  });

  (haveGcc ? test : test.skip)(
    'F20a: a writer whose main thread has ended is found: its other threads have the file open',
    async () => {
      const { out } = await play({
        script: `
          echo "exec 3>&-; $SPIN" >child
          ( exec 3>>img; exec -a qemu-nbd $TOOLS/ZOMBIE_LEADER child ) & LAST=$!
          until [[ $(cut -d' ' -f3 /proc/$LAST/stat) == Z ]]; do sleep 0.01; done
          DEADLINE=2000 fence 7 ${DISK}`,
      });
      expect(linesOf(out, 'writer')).toHaveLength(1);
      expect(verdictOf(out)).toBe('other-writer');
    },
  );

  test('F20a: a reader of a disk is no writer', async () => {
    const { out } = await play({
      script: `( exec 3<img; exec -a backup bash -c "$SPIN" ) & LAST=$!; settle; fence 7 ${DISK}`,
    });
    expect(verdictOf(out)).toBe('dead');
  });

  test('F20a: side processes of the VM are killed and verified with it', async () => {
    const { out } = await play({
      script: `
        named /usr/bin/swtpm socket --tpmstate dir=/var/lib/libvirt/swtpm/$VM/tpm2; TPM=$LAST
        named /usr/bin/swtpm socket --tpmstate dir=/var/lib/libvirt/swtpm/$OTHER/tpm2; THEIRS=$LAST
        fence 7; alive $TPM own; alive $THEIRS theirs`,
    });
    expect(out.slice(-2)).toEqual(['gone own', 'alive theirs']);
    expect(verdictOf(out)).toBe('dead');
  });

  test('F21: a qemu that SIGKILL does not end is alive at the deadline, never gone', async () => {
    const { out } = await play({
      unkillable: 'qemu',
      script: `DEADLINE=900 fence 7 ${DISK}`,
    });
    expect(verdictOf(out)).toBe('alive');
    expect(linesOf(out, 'pid')[0]).toMatch(/ 1 \d+ epoch=none/);
  });

  (haveGcc ? test : test.skip)(
    'F21: a zombie leader with a live thread is alive, although its cmdline is empty',
    async () => {
      const { out } = await play({
        unkillable: 'zombieLeader',
        script: `
          until [[ $(cut -d' ' -f3 /proc/1/stat) == Z ]]; do sleep 0.01; done
          echo "cmdline $(wc -c </proc/1/cmdline)"; DEADLINE=900 fence 7 ${DISK}`,
      });
      expect(out[0]).toBe('cmdline 0');
      expect(linesOf(out, 'pid')[0]).toMatch(/ 1 \d+ epoch=none/);
      expect(verdictOf(out)).toBe('alive');
    },
  );

  test('F21: a zombie alone is dead, reaped or not', async () => {
    const { out } = await play({
      script: `
        cat >keeper <<'KEEPER'
( exec -a qemu-system-x86_64 bash -c 'exec {f}<> <(:); while :; do read -t 1000 -u $f; done' -uuid $1 ) &
echo $! >keeper.pid; exec sleep 1000
KEEPER
        bash keeper $VM & until [[ -s keeper.pid ]]; do sleep 0.01; done; sleep 0.1
        fence 7 ${DISK}; cut -d' ' -f3 /proc/$(cat keeper.pid)/stat`,
    });
    expect(verdictOf(out)).toBe('dead');
    expect(linesOf(out, 'pid')).toHaveLength(1);
    expect(out.at(-1)).toBe('Z');
  });

  (haveGcc ? test : test.skip)(
    'F21: a qemu that can not be attributed counts as alive for every VM',
    async () => {
      const { out } = await play({
        script: `
          cp $TOOLS/WIPED ./qemu-system-x86_64; ./qemu-system-x86_64 -uuid $OTHER & LAST=$!
          until [[ -z $(tr -d '\\0' </proc/$LAST/cmdline) ]]; do sleep 0.01; done
          DEADLINE=900 fence 7 ${DISK}; alive $LAST qemu`,
      });
      expect(verdictOf(out)).toBe('unattributed');
      expect(out.at(-1)).toBe('alive qemu');
    },
  );

  (haveGcc ? test : test.skip)(
    'F35: the record of the run attributes a qemu that has no arguments; only that pid and start time',
    async () => {
      const wiped = `
        cp $TOOLS/WIPED ./qemu-system-x86_64; ./qemu-system-x86_64 x & LAST=$!
        until [[ -z $(tr -d '\\0' </proc/$LAST/cmdline) ]]; do sleep 0.01; done; mkdir run/runs`;
      const known = await play({
        script: `${wiped}
          echo "7 $LAST $(starttime $LAST)" >run/runs/$VM; fence 7 ${DISK}; alive $LAST qemu`,
      });
      expect(verdictOf(known.out)).toBe('dead');
      expect(known.out.at(-1)).toBe('gone qemu');
      const reused = await play({
        script: `${wiped}
          echo "7 $LAST 1" >run/runs/$VM; DEADLINE=900 fence 7 ${DISK}; alive $LAST qemu`,
      });
      expect(verdictOf(reused.out)).toBe('unattributed');
      expect(reused.out.at(-1)).toBe('alive qemu');
    },
  );

  test('F21: after the death it looks once more and finds what was started meanwhile', async () => {
    const { out } = await play({
      script: `
        qemu -uuid $VM; FIRST=$LAST
        ( while kill -0 $FIRST 2>/dev/null; do :; done
          exec -a qemu-system-x86_64 bash -c "$SPIN" -uuid $VM ) & SECOND=$!
        fence 7 ${DISK}; alive $SECOND second`,
    });
    expect(out.at(-1)).toBe('gone second');
    expect(verdictOf(out)).toBe('dead');
    expect(linesOf(out, 'pid')).toHaveLength(2);
  });

  const LIBVIRTD = `
    ( exec -a /usr/sbin/libvirtd bash -c "printf libvirtd >/proc/\\$\\$/comm; $SPIN" ) & DAEMON=$!
    until [[ $(cat /proc/$DAEMON/comm) == libvirtd && $(tr '\\0' ' ' </proc/$DAEMON/cmdline) == */libvirtd* ]]; do sleep 0.01; done`;

  test('F21: nothing found counts only if libvirt answered, else its daemon is killed first', async () => {
    const answered = await play({ script: `${LIBVIRTD}; fence 7 ${DISK}; alive $DAEMON daemon` });
    expect(verdictOf(answered.out)).toBe('dead');
    expect(answered.out.at(-1)).toBe('alive daemon');
    for (const virsh of ['hang', 'dead', 'running'] as const) {
      const { out } = await play({
        virsh,
        script: `${LIBVIRTD}; fence 7 ${DISK}; alive $DAEMON daemon`,
      });
      expect([virsh, verdictOf(out), out.at(-1)]).toEqual([virsh, 'dead', 'gone daemon']);
    }
  });

  test('F21: where no daemon is, nobody is asked to the end of the time', async () => {
    const { out } = await play({ virsh: 'dead', script: `DEADLINE=20000 fence 7 ${DISK}` });
    expect(verdictOf(out)).toBe('dead');
    // A quarter of the deadline is for questions; a connection that is refused at once ends them.
    expect(Number(/verify_ms=(\d+)/.exec(out.join(' '))?.[1])).toBeLessThan(2_500);
  });

  test('F21: a daemon that refuses for now is there: it is asked to the end, then ended', async () => {
    const { out } = await play({
      virsh: 'dead',
      script: `${LIBVIRTD}; fence 7 ${DISK}; alive $DAEMON daemon`,
    });
    expect(out.at(-1)).toBe('gone daemon');
    expect(Number(/verify_ms=(\d+)/.exec(out.join(' '))?.[1])).toBeGreaterThan(800);
  });

  test('F21: "no such VM" is an answer of libvirt, but not over a connection that breaks', async () => {
    for (const [virsh, daemon] of [
      ['unknown', 'alive daemon'],
      ['broken', 'gone daemon'],
    ] as const) {
      const { out } = await play({
        virsh,
        script: `${LIBVIRTD}; fence 7 ${DISK}; alive $DAEMON daemon`,
      });
      expect([virsh, verdictOf(out), out.at(-1)]).toEqual([virsh, 'dead', daemon]);
    }
  });

  (haveGcc ? test : test.skip).each([
    ['ENOMEM_AT=/proc/$LAST/', 'one process can not be looked at'],
    ['ENOMEM_DIR=/proc', 'the list of processes is empty'],
  ])('F21: without memory (%s) it has not looked, and nothing is dead: %s', async (where) => {
    const { out } = await play({
      script: `
        qemu -uuid $VM
        export DEADLINE=900
        order 7 ${DISK} >order.txt
        cat >bin/find <<'FIND'
#!/bin/bash
exec env -u LD_PRELOAD bash -c 'exec /usr/bin/find /proc/[0-9]*/fd -mindepth 1 -printf "%p %l\\0"'
FIND
        chmod +x bin/find
        ( export LD_PRELOAD=$TOOLS/ENOMEM.so ${where}; ${PROGRAM} <order.txt )
        alive $LAST qemu`,
    });
    expect(verdictOf(out)).not.toBe('dead');
    expect(verdictOf(out)).not.toBe('none');
    expect(linesOf(out, 'end')).toHaveLength(1);
  });

  (haveGcc ? test : test.skip)(
    'F21: a qemu that was seen and can not be looked at any more is alive, not gone',
    async () => {
      const { out } = await play({
        unkillable: 'qemu',
        virsh: 'running',
        script: `
          export DEADLINE=900; order 7 ${DISK} >order.txt
          env LD_PRELOAD=$TOOLS/ENOMEM.so ENOMEM_AT=/proc/1/stat ENOMEM_WHEN=$PWD/destroyed \
            ${PROGRAM} <order.txt`,
      });
      expect(linesOf(out, 'pid')).toHaveLength(1);
      expect(verdictOf(out)).toBe('alive');
    },
  );

  (haveGcc ? test : test.skip)(
    'F25: a clock that can not be read ends it, it never waits for ever',
    async () => {
      const { out } = await play({
        script: `
        DEADLINE=3000 order 7 ${DISK} >order.txt
        ( export LD_PRELOAD=$TOOLS/ENOMEM.so ENOMEM_AT=/proc/uptime; ${PROGRAM} <order.txt )`,
      });
      expect(out.at(-1)).toMatch(/^refused no-clock/);
    },
  );

  test('F34: a child of libvirt that is not a qemu yet may become one: not dead while it is there', async () => {
    const { out } = await play({
      virsh: 'hang',
      script: `${LIBVIRTD}
        ( exec -a /usr/sbin/libvirtd bash -c "printf rpc-libvirtd >/proc/\\$\\$/comm; $SPIN" ) & CHILD=$!
        until [[ $(cat /proc/$CHILD/comm) == rpc-libvirtd ]]; do sleep 0.01; done
        DEADLINE=2500 fence 7 ${DISK}; alive $DAEMON daemon; alive $CHILD child`,
    });
    expect(verdictOf(out)).toBe('unattributed');
    expect(out.slice(-2)).toEqual(['gone daemon', 'alive child']);
  });

  test('F34: the barrier is set before libvirt is asked, on disk and in memory, and only grows', async () => {
    const { out } = await play({
      script: `
        mkdir -p run/barriers state/barriers; echo 9 >run/barriers/$VM; echo 3 >state/barriers/$VM
        fence 7 ${DISK}; cat run/barriers/$VM state/barriers/$VM barrier.at.ask
        echo >run/barriers/$VM; rm run/barriers/$VM; fence 7; cat run/barriers/$VM`,
    });
    const text = out.join('\n');
    expect(verdictOf(out)).toBe('dead');
    expect(text).toMatch(/\n9\n7\n9\n/);
    expect(out.at(-1)).toBe('7');
    expect(linesOf(out, 'verdict')[0]).toMatch(/barrier=disk$/);
  });

  test('F34: no disk, a barrier in memory, and the answer says so', async () => {
    const { out } = await play({ script: `rmdir state; echo x >state; fence 7 ${DISK}` });
    expect(linesOf(out, 'verdict')[0]).toMatch(/ dead barrier=memory$/);
  });

  test('F34: no barrier at all, then nothing is dead and the control failed', async () => {
    for (const setup of [
      `mkdir -p run/barriers/$VM`,
      `mkdir -p run/barriers; echo garbage >run/barriers/$VM`,
    ]) {
      const { out } = await play({
        script: `${setup}; qemu -uuid $VM; DEADLINE=1500 fence 7 ${DISK}; alive $LAST qemu`,
      });
      expect(verdictOf(out)).toBe('not-drained');
      expect(out.at(-2)).toMatch(/control=no-barrier/);
      expect(out.at(-1)).toBe('gone qemu');
    }
  });

  test('F34: a start that is under way is ended; a newer one is left alone', async () => {
    const { out } = await play({
      script: `
        mkdir run/grants
        named virsh create; OLD=$LAST; echo "7 $OLD $(starttime $OLD)" >run/grants/$VM
        fence 7 ${DISK}; alive $OLD old
        named virsh create; NEW=$LAST; echo "8 $NEW $(starttime $NEW)" >run/grants/$VM
        fence 7 ${DISK}; alive $NEW new
        named virsh create; REUSED=$LAST; echo "7 $REUSED 1" >run/grants/$VM
        fence 7 ${DISK}; alive $REUSED reused`,
    });
    expect(out.filter((line) => /^(alive|gone) /.test(line))).toEqual([
      'gone old',
      'alive new',
      'alive reused',
    ]);
    expect(linesOf(out, 'verdict').map((line) => line.split(' ')[2])).toEqual([
      'dead',
      'dead',
      'dead',
    ]);
  });

  // libvirt runs what waits in its queue even if its virsh was killed, once a worker is free.
  const QUEUED = `
    ( exec -a /usr/sbin/libvirtd bash -c 'printf libvirtd >/proc/$$/comm; exec {f}<> <(:)
        until [[ -e storage ]]; do read -t 0.05 -u $f; done
        exec -a qemu-system-x86_64 bash -c "$1" -uuid "$2"' _ "$SPIN" $VM ) & DAEMON=$!
    until [[ $(cat /proc/$DAEMON/comm) == libvirtd ]]; do sleep 0.01; done; mkdir run/grants`;

  test.each([
    ['echo "7 999999 1" >run/grants/$VM', 'its virsh was killed when its time was over'],
    [
      'named virsh create; echo "7 $LAST $(starttime $LAST)" >run/grants/$VM',
      'its virsh is killed by this fence',
    ],
  ])('F34: "shut off" settles no start that waits in libvirt: %s (%s)', async (grant) => {
    const { out } = await play({
      script: `${QUEUED}; ${grant}
        DEADLINE=20000 fence 7 ${DISK}
        touch storage; sleep 0.3; alive $DAEMON daemon; ps -e -o args= | grep -c '[q]emu-system'`,
    });
    expect(verdictOf(out)).toBe('dead');
    expect(out.slice(-2)).toEqual(['gone daemon', '0']);
    // Nobody is asked for a quarter of the deadline first.
    expect(Number(/verify_ms=(\d+)/.exec(out.join(' '))?.[1])).toBeLessThan(2_500);
  });

  test('F34: a start above the order is not what this fence has to end, nor is its daemon', async () => {
    const { out } = await play({
      script: `${QUEUED}; echo "8 999999 1" >run/grants/$VM
        fence 7 ${DISK}; alive $DAEMON daemon`,
    });
    expect(verdictOf(out)).toBe('dead');
    expect(out.at(-1)).toBe('alive daemon');
  });

  test.each([
    [900, 'alive', 'libvirt has settled the other VM'],
    [2500, 'gone', 'when the time for questions is over, for the first one'],
  ])('F17: a start whose virsh does not die, %d ms: daemon %s: %s', async (ms, daemon) => {
    const { out } = await play({
      script: `${QUEUED}; echo "7 1 $(starttime 1)" >run/grants/$VM
        { DEADLINE=${ms} order 7 | sed 's/vms=1/vms=2/'; echo "vm $OTHER epoch=7 ${DISK}"; } |
          ${PROGRAM}
        alive $DAEMON daemon`,
    });
    expect([verdictOf(out), verdictOf(out, OTHER)]).toEqual(['alive', 'dead']);
    expect(out.at(-1)).toBe(`${daemon} daemon`);
  });

  test('F17: a daemon that hangs in storage does not die: the VMs that it answered for are settled', async () => {
    const { out } = await play({
      unkillable: 'libvirtd',
      script: `printf libvirtd >/proc/1/comm; mkdir run/grants; echo "7 999999 1" >run/grants/$VM
        { DEADLINE=2500 order 7 | sed 's/vms=1/vms=2/'; echo "vm $OTHER epoch=7 ${DISK}"; } |
          ${PROGRAM}`,
    });
    expect([verdictOf(out), verdictOf(out, OTHER)]).toEqual(['unattributed', 'dead']);
  });

  (haveGcc ? test : test.skip)(
    'F21: a daemon that could not be looked at is not one that is not there',
    async () => {
      const { out } = await play({
        virsh: 'hang',
        script: `${QUEUED}; echo "7 999999 1" >run/grants/$VM; touch blind
          order 7 ${DISK} >order.txt; ( sleep 0.6; rm blind ) &
          env LD_PRELOAD=$TOOLS/ENOMEM.so ENOMEM_AT=/proc/$DAEMON/ ENOMEM_WHEN=$PWD/blind \
            ${PROGRAM} <order.txt; alive $DAEMON daemon`,
      });
      expect(verdictOf(out)).toBe('dead');
      expect(out.at(-1)).toBe('gone daemon');
    },
  );

  test('F34: a record of a start that can not be read keeps the VM from being dead', async () => {
    const { out } = await play({
      script: `mkdir run/grants; echo nonsense >run/grants/$VM; DEADLINE=900 fence 7 ${DISK}`,
    });
    expect(verdictOf(out)).toBe('unattributed');
  });

  test.each([
    ['-fw_cfg $(mark 8)', '', 'alive', 'a newer run is left alone'],
    ['-fw_cfg $(mark 7)', '', 'gone', 'the run itself'],
    ['-fw_cfg $(mark 6)', '', 'gone', 'an older run'],
    ['', '', 'gone', 'no mark at all counts as old'],
    ['', '8', 'alive', 'the record of a run that bears no mark'],
    ['-fw_cfg $(mark 7)', '8', 'gone', 'arguments win over the record'],
  ])('F35: %s, record "%s": %s (%s)', async (args, record, expected) => {
    const { out } = await play({
      script: `
        qemu -uuid $VM ${args}; mkdir run/runs
        [[ -z "${record}" ]] || echo "${record} $LAST $(starttime $LAST)" >run/runs/$VM
        fence 7 ${DISK}; alive $LAST qemu`,
    });
    expect(out.at(-1)).toBe(`${expected} qemu`);
    expect(linesOf(out, 'pid')).toHaveLength(1);
    expect(verdictOf(out)).toBe('dead');
  });

  const SWTPM = `named /usr/bin/swtpm socket --tpmstate dir=/var/lib/libvirt/swtpm/$VM/tpm2; TPM=$LAST`;
  const NEWER = 'exec -a qemu-system-x86_64 bash -c "$SPIN" -uuid $VM -fw_cfg $(mark 8)';

  test('F35: side processes of a newer run, older than its qemu, are left alone', async () => {
    const { out } = await play({
      script: `${SWTPM}; qemu -uuid $VM -fw_cfg $(mark 8)
        fence 7 ${DISK}; alive $TPM tpm; alive $LAST qemu`,
    });
    expect(out.slice(-2)).toEqual(['alive tpm', 'alive qemu']);
    expect(verdictOf(out)).toBe('dead');
  });

  test('F35: nor when its qemu comes only later', async () => {
    const { out } = await play({
      script: `${SWTPM}; ( sleep 0.4; ${NEWER} ) & NEW=$!
        GRACE=1500 fence 7 ${DISK}; alive $TPM tpm; alive $NEW qemu`,
    });
    expect(out.slice(-2)).toEqual(['alive tpm', 'alive qemu']);
  });

  test('F35: a side process while a newer start is under way: not killed, and not dead', async () => {
    const { out } = await play({
      script: `mkdir run/grants; ${SWTPM}; echo "8 999999 1" >run/grants/$VM
        DEADLINE=900 fence 7 ${DISK}; alive $TPM tpm`,
    });
    expect(out.at(-1)).toBe('alive tpm');
    expect(verdictOf(out)).toBe('unattributed');
  });

  test('F35: no virsh destroy for a VM of which a newer run lives', async () => {
    const { out } = await play({
      virsh: 'running',
      script: `
        qemu -uuid $VM -fw_cfg $(mark 8); NEW=$LAST; qemu -uuid $VM -fw_cfg $(mark 7); OLD=$LAST
        fence 7 ${DISK}; alive $NEW new; alive $OLD old; grep -c destroy virsh.log`,
    });
    expect(out.slice(-3)).toEqual(['alive new', 'gone old', '0']);
  });

  test('F21a: a disk that can not be flushed is not drained; each disk has its own answer', async () => {
    const { out } = await play({
      script: `fence 7 ${DISK} disk=file:$PWD/nowhere disk=block:$PWD/img`,
    });
    expect(verdictOf(out)).toBe('not-drained');
    expect(linesOf(out, 'disk').map((line) => line.split(' ').slice(-1)[0])).toEqual([
      'drained=synced',
      'drained=no',
      'drained=no',
    ]);
  });

  test('F21a: the flush comes after the death', async () => {
    const { out } = await play({
      script: `
        cat >bin/sync <<'SYNC'
#!/bin/bash
read -r _ _ state _ 2>/dev/null </proc/$(cat "$SANDBOX/qemu.pid")/stat
[[ \${state:-Z} == Z ]] || echo early >>"$SANDBOX/sync.log"
exec /bin/sync "$@"
SYNC
        chmod +x bin/sync; qemu -uuid $VM; echo $LAST >qemu.pid; rm -rf state; echo x >state
        GRACE=200 fence 7 ${DISK}; cat sync.log 2>/dev/null; echo end-of-log`,
    });
    expect(verdictOf(out)).toBe('dead');
    expect(out).not.toContain('early');
  });

  test('F21a: a flush that began before a death is worth nothing', async () => {
    const { out } = await play({
      script: `
        cat >bin/sync <<'SYNC'
#!/bin/bash
[[ $* == *img* ]] || exec /bin/sync "$@"
if mkdir "$SANDBOX/first" 2>/dev/null; then exec sleep 0.6; fi
sleep 0.9; exit 1
SYNC
        chmod +x bin/sync
        ( until [[ -d first ]]; do :; done
          exec -a qemu-system-x86_64 bash -c "$SPIN" -uuid $VM ) &
        fence 7 ${DISK}`,
    });
    // The stand-in for qemu forks once at its start: a look may catch that copy of it as well.
    expect(linesOf(out, 'pid').length).toBeGreaterThan(0);
    expect(linesOf(out, 'disk')[0]).toMatch(/drained=no$/);
    expect(verdictOf(out)).toBe('not-drained');
  });

  test('F21: at the end of it all it looks once more', async () => {
    const { out } = await play({
      script: `
        cat >bin/find <<'FIND'
#!/bin/bash
touch "$SANDBOX/scanning"; until [[ -e "$SANDBOX/second" ]]; do sleep 0.01; done
exec /usr/bin/find "$@"
FIND
        chmod +x bin/find
        ( until [[ -e scanning ]]; do sleep 0.01; done
          exec -a qemu-system-x86_64 bash -c "touch second; $SPIN" -uuid $VM ) & SECOND=$!
        fence 7 ${DISK}; alive $SECOND second`,
    });
    expect(out.at(-1)).toBe('gone second');
    expect(verdictOf(out)).toBe('dead');
  });

  test.each([
    ['exit 0', 'sees nothing at all'],
    [`echo "find: '/proc/7/fd': Cannot allocate memory" >&2; exec /usr/bin/find "$@"`, 'fails'],
    [
      `echo "find: '/proc/1/fd': Permission denied" >&2; exec /usr/bin/find "$@"`,
      'may not look into a process that runs',
    ],
  ])('F20a: a scan for writers that %s proves nothing (%s)', async (find) => {
    const { out } = await play({
      script: `
        printf '%s\\n' '#!/bin/bash' ${JSON.stringify(find).replaceAll('$', '\\$')} >bin/find
        chmod +x bin/find; DEADLINE=900 fence 7 ${DISK}`,
    });
    expect(verdictOf(out)).toBe('not-drained');
  });

  test('F20a: without real names a writer could come by another path, so nothing is dead', async () => {
    const { out } = await play({
      script: `
        printf '#!/bin/bash\\nexit 1\\n' >bin/realpath; chmod +x bin/realpath
        DEADLINE=900 fence 7 ${DISK}`,
    });
    expect(verdictOf(out)).toBe('not-drained');
  });

  test('F25: the deadline holds when virsh and sync hang, and nothing is left running', async () => {
    const { out } = await play({
      virsh: 'hang',
      script: `
        printf '#!/bin/bash\\nexec sleep 1000\\n' >bin/sync; chmod +x bin/sync
        qemu -uuid $VM; begun=$(date +%s%N); DEADLINE=1500 fence 7 ${DISK}
        echo "took $(( ($(date +%s%N) - begun) / 1000000 ))"
        sleep 0.1; ps -e -o args= | grep -c '[s]leep 1000'; ls run`,
    });
    expect(verdictOf(out)).toBe('not-drained');
    expect(Number(linesOf(out, 'took')[0]?.split(' ')[1])).toBeLessThan(2_000);
    expect(out).toContain('0');
    expect(out.filter((line) => line.startsWith('fence.'))).toEqual([]);
  });

  test('F25: a program that hangs itself is ended by its watchdog', async () => {
    const { out } = await play({
      script: `
        mkfifo run/runs.fifo; mkdir run/runs; mkfifo run/runs/$VM
        begun=$(date +%s%N); DEADLINE=700 fence 7 ${DISK}
        echo "took $(( ($(date +%s%N) - begun) / 1000000 ))"`,
    });
    expect(Number(linesOf(out, 'took')[0]?.split(' ')[1])).toBeLessThan(1_500);
    expect(linesOf(out, 'end')).toEqual([]);
  });

  test('F17: 500 VMs in one pass, a verdict each, no leak between them', async () => {
    const { out } = await play({
      script: `
        for i in {0..29}; do
          printf -v u '22222222-2222-3333-4444-%012d' $i
          ( exec -a qemu-system-x86_64 bash -c "$SPIN" -uuid $u -fw_cfg $(mark $((i % 2 ? 7 : 9))) ) &
        done; sleep 0.5
        { echo 'fenceline-peer 1'; echo 'fence ${NONCE} token=- deadline_ms=15000 vms=500 grace_ms=50'
          for i in {0..499}; do
            d=; ((i < 60)) && d=" disk=file:$PWD/img"; ((i == 3)) && d=' disk=file:/nowhere'
            printf 'vm 22222222-2222-3333-4444-%012d epoch=7%s\\n' $i "$d"
          done; } | ${PROGRAM}
        ps -e -o args= | grep -c '[q]emu-system'`,
    });
    const verdicts = linesOf(out, 'verdict');
    expect(verdicts).toHaveLength(500);
    expect(verdicts.filter((line) => line.split(' ')[2] !== 'dead')).toEqual([
      expect.stringContaining('22222222-2222-3333-4444-000000000003 not-drained'),
    ]);
    expect(linesOf(out, 'pid')).toHaveLength(30);
    expect(out.at(-1)).toBe('15');
  });

  test.each([
    ['fenceline-peer 2', 'version'],
    ['garbage', 'version'],
    ['', 'version'],
  ])('F18: first line %j is refused', async (line, reason) => {
    const { out } = await play({ script: `printf '%s\\n' '${line}' | ${PROGRAM}` });
    expect(out.at(-1)).toMatch(new RegExp(`^refused ${reason}`));
  });

  const HEAD = `fence ${NONCE} token=- deadline_ms=900 vms=1`;
  test.each([
    ['fence xyz token=- deadline_ms=900 vms=1', `vm ${VM} epoch=7`, 'bad-order'],
    [`kill ${NONCE} token=- deadline_ms=900 vms=1`, `vm ${VM} epoch=7`, 'bad-order'],
    [`fence ${NONCE} token=- deadline_ms=0x9 vms=1`, `vm ${VM} epoch=7`, 'bad-order'],
    [`fence ${NONCE} token=- deadline_ms=900000 vms=1`, `vm ${VM} epoch=7`, 'bad-order'],
    [`fence ${NONCE} token=- deadline_ms=900 vms=501`, `vm ${VM} epoch=7`, 'too-many'],
    [`fence ${NONCE} token=zz deadline_ms=900 vms=1`, `vm ${VM} epoch=7`, 'bad-token'],
    [HEAD, `vm ${VM}x epoch=7`, 'bad-vm'],
    [HEAD, `vm ${VM.replace('1', '*')} epoch=7`, 'bad-vm'],
    [HEAD, `vm ../../../../etc/cron.d/x epoch=7`, 'bad-vm'],
    [HEAD, `vm ${VM} epoch=a[\\$(touch owned)]`, 'bad-vm'],
    [HEAD, `vm ${VM} epoch=007`, 'bad-vm'],
    [HEAD, `vm ${VM} epoch=7 disk=file:relative`, 'bad-disk'],
    [HEAD, `vm ${VM} epoch=7 disk=file:/x;touch%20owned`, 'bad-disk'],
    [HEAD, `vm ${VM} epoch=7 disk=file:/x%0Atouch`, 'bad-disk'],
    [HEAD, `vm ${VM} epoch=7 disk=file:/\\$(touch owned)`, 'bad-disk'],
    [`fence ${NONCE} token=- deadline_ms=900 vms=2`, `vm ${VM} epoch=7`, 'no-order'],
  ])('F18: order %s / %s is refused as %s', async (head, line, reason) => {
    const { out } = await play({
      script: `printf '%s\\n' 'fenceline-peer 1' '${head}' '${line}' | ${PROGRAM}; ls; ls run`,
    });
    expect(out[1]).toMatch(new RegExp(`^refused ${reason}`));
    expect(out.join(' ')).not.toContain('owned');
    expect(out).not.toContain('barriers');
  });

  test('F18: the same VM twice, an endless line and a source with spaces', async () => {
    const twice = await play({
      script: `printf '%s\\n' 'fenceline-peer 1' 'fence ${NONCE} token=- deadline_ms=900 vms=2' "vm $VM epoch=7" "vm $VM epoch=8" | ${PROGRAM}`,
    });
    expect(twice.out[1]).toMatch(/^refused bad-vm/);
    const endless = await play({
      script: `{ echo 'fenceline-peer 1'; head -c 400000 /dev/zero | tr '\\0' x; } | ${PROGRAM}`,
    });
    expect(endless.out[1]).toMatch(/^refused too-long/);
    const spaces = await play({
      script: `cp img "a \\$(touch owned) b"; fence 7 "disk=file:$PWD/a%20%24%28touch%20owned%29%20b"; ls`,
    });
    expect(verdictOf(spaces.out)).toBe('dead');
    expect(spaces.out).not.toContain('owned');
  });

  test('F18: as a forced command it ignores what the peer asked the shell to run', async () => {
    const { out } = await play({
      script: `export SSH_ORIGINAL_COMMAND='touch owned'; order 7 | ${PROGRAM} 'touch owned'; ls`,
    });
    expect(verdictOf(out)).toBe('dead');
    expect(out).not.toContain('owned');
  });

  test('I3: an order for another host ends before a barrier is set or anything is killed', async () => {
    const { out } = await play({
      script: `qemu -uuid $VM; HEAD=host=${OTHER} fence 7 ${DISK}; alive $LAST qemu; cat run/barriers/$VM`,
    });
    expect(out[1]).toMatch(/^refused wrong-host/);
    expect(out.at(-1)).toBe('alive qemu');
  });

  test('count looks in the same way, and does nothing', async () => {
    const { out } = await play({
      script: `qemu -uuid $VM; MODE=count fence 7 ${DISK}; alive $LAST qemu; ls run/barriers; ls state; cat virsh.log`,
    });
    expect(linesOf(out, 'pid')).toHaveLength(1);
    expect(linesOf(out, 'verdict')).toEqual([]);
    expect(out.at(-2)).toMatch(/^end .* control=ok/);
    expect(out.at(-1)).toBe('alive qemu');
  });
});

test('the program stays one readable file', () => {
  const text = readFileSync(PROGRAM, 'utf8');
  expect(text.split('\n').length).toBeLessThan(900);
  expect(text).not.toMatch(/eval |SSH_ORIGINAL_COMMAND[^;]*\$/);
});
