// fenceline-fence: closes runs of VMs on this host and proves it (fence program protocol v1).
//
// Forced command of the siblings' keys (F29) and child of this host's own agent. The order comes as data on
// standard input; SSH_ORIGINAL_COMMAND and other arguments are ignored (F18).
#include "answer.h"
#include "barrier.h"
#include "clock.h"
#include "engine.h"
#include "helpers.h"
#include "input.h"
#include "look.h"
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static struct options options;
static struct fence fence;
static struct order *order;
static char work_dir[4200]; /* empty until it is there */
static char host[40] = "-", boot[40] = "-", pidns[24] = "";
static const char *control = "ok";

// ── the end ──────────────────────────────────────────────────────────────────────────────────────
static void remove_work(const char *name) {
  char path[4300];
  size_t n = strlen(work_dir), m = strlen(name);
  memcpy(path, work_dir, n), path[n] = '/';
  memcpy(path + n + 1, name, m + 1);
  unlink(path);
}
/** Only what a signal handler may call. */
static void cleanup(void) {
  helpers_end();
  if (!work_dir[0]) return;
  remove_work("witness");
  for (uint32_t v = 0; v < order->vms; v++) remove_work(order->vm[v].uuid);
  rmdir(work_dir);
}
static void on_term(int signal_number) {
  (void)signal_number;
  cleanup();
  _exit(1);
}
static void refuse(const char *why) __attribute__((noreturn));
static void refuse(const char *why) {
  say("refused %s", why);
  answer_flush(clock_ms() + 1000);
  cleanup();
  exit(2);
}

// ── set-up ───────────────────────────────────────────────────────────────────────────────────────
static void take(char *to, size_t room, const char *value) {
  if (value && value[0] && strlen(value) < room) strcpy(to, value);
}
/* sshd passes no environment to a forced command; the agent that installs this names the options there. */
static void read_options(int argc, char **argv) {
  take(options.run, sizeof options.run, "/run/fenceline");
  take(options.state, sizeof options.state, "/var/lib/fenceline/agent");
  take(options.uri, sizeof options.uri, "qemu:///system");
  take(options.virsh, sizeof options.virsh, "virsh");
  take(options.run, sizeof options.run, getenv("FENCELINE_RUN_DIR"));
  take(options.state, sizeof options.state, getenv("FENCELINE_STATE_DIR"));
  take(options.uri, sizeof options.uri, getenv("FENCELINE_LIBVIRT_URI"));
  for (int i = 1; i + 1 < argc; i++) {
    if (strcmp(argv[i], "--run-dir") == 0) take(options.run, sizeof options.run, argv[++i]);
    else if (strcmp(argv[i], "--state-dir") == 0) take(options.state, sizeof options.state, argv[++i]);
    else if (strcmp(argv[i], "--uri") == 0) take(options.uri, sizeof options.uri, argv[++i]);
    else if (strcmp(argv[i], "--virsh") == 0) take(options.virsh, sizeof options.virsh, argv[++i]);
  }
  const char *path = getenv("FENCELINE_PATH");
  setenv("PATH", path && path[0] ? path : "/usr/sbin:/usr/bin:/sbin:/bin", 1);
  setenv("LC_ALL", "C", 1);
}
static void protect(void) {
  static const char LAST[] = "-1000";
  volatile char stack[131072];
  /* The stack that will be needed is there before memory is short. */
  for (size_t i = 0; i < sizeof stack; i += 1024) stack[i] = 0;
  int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (file >= 0) {
    if (write(file, LAST, sizeof LAST - 1) < 0) { /* not allowed in a user namespace; said by nobody */ }
    close(file);
  }
  /* F26. Not fatal: without it the program is only less sure to work when memory is short. */
  if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) return;
}
static void handle_signals(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = SIG_IGN;
  /* A peer that goes away doesn't stop a fence that has begun; the deadline does. */
  sigaction(SIGPIPE, &action, NULL);
  sigaction(SIGHUP, &action, NULL);
  action.sa_handler = SIG_DFL; /* what sshd or a shell left ignored would take away waiting for helpers */
  sigaction(SIGCHLD, &action, NULL);
}

// ── the order ────────────────────────────────────────────────────────────────────────────────────
static void read_order(void) {
  const char *why, *line;
  size_t n;
  if (!(line = input_line(30000, &n, &why)) || (why = order_hello(line, n))) refuse(why);
  if (!(line = input_line(300000, &n, &why)) || (why = order_head(order, line, n))) refuse(why);
  fence.times.begun = clock_ms();
  if (fence.times.begun >= NO_TIME) refuse("no-clock the time can not be read");
  while (order->vms < order->count)
    if (!(line = input_line(10000, &n, &why)) || (why = order_vm(order, line, n))) refuse(why);
}

// ── who we are ───────────────────────────────────────────────────────────────────────────────────
static bool read_uuid(const char *path, char *to) {
  char text[64];
  size_t n;
  if (read_text(path, text, sizeof text, &n) != SEEN) return false;
  if (n > 0 && text[n - 1] == '\n') n--;
  if (!uuid_is_canonical(text, n)) return false;
  memcpy(to, text, n), to[n] = 0;
  return true;
}
/** The state directory's disk may hang: a helper reads it. */
static bool host_from_disk(void) {
  int64_t until = clock_ms() + 1000;
  struct report r;
  if (!helpers_give(JOB_HOST, 0, 0, 0, until)) return false;
  for (;;) {
    helpers_wait(20);
    if (!helpers_next(clock_ms(), &r)) continue;
    if (r.rc != 0 || !uuid_is_canonical(r.text, strcspn(r.text, "\n"))) return false;
    memcpy(host, r.text, 36), host[36] = 0;
    return true;
  }
}
static void read_pidns(void) {
  char text[64];
  size_t n = 0;
  ssize_t length = readlink("/proc/self/ns/pid", text, sizeof text);
  for (ssize_t i = 0; i < length; i++)
    if (text[i] >= '0' && text[i] <= '9' && n + 1 < sizeof pidns) pidns[n++] = text[i];
  pidns[n] = 0;
}
static void identify(void) {
  char path[4200];
  snprintf(path, sizeof path, "%s/host", options.run);
  if (!read_uuid(path, host) && !host_from_disk()) control = "no-host";
  if (!read_uuid("/proc/sys/kernel/random/boot_id", boot)) control = "no-boot";
  read_pidns();
  /* safety: I3: an order for another host ends here, before a barrier is set or anything is killed */
  if (order->host[0] && strcmp(order->host, host) != 0) refuse("wrong-host this is another host");
  if (geteuid() != 0) control = "not-root";
}

// ── the work ─────────────────────────────────────────────────────────────────────────────────────
static bool make_work_dir(void) {
  char path[4200];
  mkdir(options.run, 0700);
  snprintf(path, sizeof path, "%s/barriers", options.run);
  mkdir(path, 0700);
  snprintf(path, sizeof path, "%s/fence.%d.%" PRId64, options.run, (int)getpid(), clock_ms());
  if (mkdir(path, 0700) != 0) return false;
  strcpy(work_dir, path);
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_term;
  sigaction(SIGTERM, &action, NULL);
  return true;
}
/** A file of our own that the look for writers must see. */
static void open_witness(void) {
  char path[4300], own[40];
  snprintf(path, sizeof path, "%s/witness", work_dir);
  int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return; /* then no scan is worth anything */
  snprintf(own, sizeof own, "/proc/self/fd/%d", file);
  ssize_t n = readlink(own, fence.witness, sizeof fence.witness - 1);
  fence.witness[n > 0 ? n : 0] = 0;
}
static void count_only(void) {
  fence.table.now = clock_ms();
  look(&fence.table);
  if (!fence.table.look_ok) look(&fence.table);
}
static void close_runs(void) {
  if (!helpers_give(JOB_BARRIER, 0, 0, 0, NO_TIME)) fence.disk_answered = true;
  /* safety: F34: barrier first, then look; without a barrier no answer of this program is a proof */
  if (!barrier_memory(order, options.run, work_dir)) control = "no-barrier";
  end_grants(&fence.table);
  open_witness();
  engine_work(&fence);
  engine_wait_for_disk(&fence);
  answer_verdicts(&fence.table, fence.on_disk, strcmp(control, "no-barrier") == 0);
}
static void say_end(void) {
  char times[200] = "";
  struct times *t = &fence.times;
  if (!t->dead) t->dead = t->end;
  if (t->clean <= t->dead) t->clean = t->dead;
  if (order->mode == MODE_FENCE)
    snprintf(times, sizeof times, " barrier_ms=%" PRId64 " kill_ms=%" PRId64 " verify_ms=%" PRId64 " drain_ms=%" PRId64,
             t->barrier - t->begun, t->dead - t->barrier, t->clean - t->dead, t->end - t->clean);
  if (!fence.table.look_ok && strcmp(control, "ok") == 0) control = "look-failed";
  say("end %s host=%s boot=%s pidns=%s uid=%d control=%s%s", order->nonce, host, boot, pidns, (int)geteuid(), control, times);
}

int main(int argc, char **argv) {
  read_options(argc, argv);
  umask(077);
  handle_signals();
  /* Shared with the helpers, which are made before the order has come. */
  order = mmap(NULL, sizeof *order, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (order == MAP_FAILED) return 1;
  say("fenceline-fence 1");
  if (!helpers_begin(&options, order)) refuse("no-helpers processes or memory are short");
  protect();
  read_order();
  int64_t reserve = order->deadline_ms / 5 < 500 ? order->deadline_ms / 5 : 500;
  fence.stop_at = fence.table.stop_at = fence.times.begun + order->deadline_ms - reserve;
  if (clock_watchdog(fence.times.begun + order->deadline_ms) != 0) refuse("no-clock no watchdog");
  if (!make_work_dir()) refuse("no-run-dir can not write there");
  fence.table.order = order, fence.table.run = options.run, fence.table.self = getpid();
  for (uint32_t v = 0; v < order->vms; v++) fence.table.vm[v].domain = -1;
  identify();
  if (order->mode == MODE_COUNT) count_only();
  else close_runs();
  say_end();
  answer_flush(fence.times.begun + order->deadline_ms - 20);
  answer_close();
  cleanup();
  return 0;
}
