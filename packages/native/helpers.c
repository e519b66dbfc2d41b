#include "helpers.h"
#include "barrier.h"
#include "clock.h"
#include "procfs.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/** One helper and its work. `given` and `done` are the only fields that both sides change. */
struct slot {
  atomic_int pid; /* 0: none yet */
  atomic_uint given, done;
  enum job job;
  uint32_t item, turn;
  int64_t number;
  int ask, rc;
  char text[4096];
};
struct shared {
  struct slot slot[MAX_HELPERS];
  atomic_uint wanted; /* how many helpers there should be; the spawner makes them */
  char words[ASK_FILES][MAX_WORDS];
};
/** What only the main process knows of a helper. */
struct mine { bool busy, lost; int64_t until, since; };

static struct shared *shared;
static struct mine mine[MAX_HELPERS];
static const struct options *options;
static struct order *order;
static int bell, spawner_bell, bells[MAX_HELPERS], ask_file[ASK_FILES][2], null_file, main_pid, spawner;
static bool ask_lost[ASK_FILES];
static int next_ask;

static void ring(int which) {
  uint64_t one = 1;
  if (write(which, &one, sizeof one) < 0) return; /* full means: it has been rung */
}

// ── in the helper ────────────────────────────────────────────────────────────────────────────────
static void exec_virsh(struct slot *s) {
  /* safety: I3: virsh takes what is no known number for a name; no name can have a line feed in it */
  char id[32];
  snprintf(id, sizeof id, "\n%" PRId64, s->number);
  bool ask = s->job == JOB_ASK;
  if (ask) dup2(ask_file[s->ask][0], 1), dup2(ask_file[s->ask][1], 2);
  char *const question[] = {"virsh", "-c", (char *)options->uri, shared->words[s->ask], NULL};
  char *const destroy[] = {"virsh", "-q", "-c", (char *)options->uri, "destroy", id, NULL};
  signal(SIGPIPE, SIG_DFL), signal(SIGHUP, SIG_DFL);
  execvp(options->virsh, ask ? question : destroy);
  _exit(127);
}
static int run_virsh(struct slot *s) {
  int status;
  pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    exec_virsh(s);
  }
  /* Where nothing can be forked any more, this helper becomes virsh itself; a spare one replaces it. */
  if (child < 0) exec_virsh(s);
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return 126;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 125;
}

/** A dead VM's pages reach the disk; the name is the one that /proc/PID/fd shows for this file. */
static int flush(struct slot *s) {
  char own[40];
  int file = open(disk_path(order, s->item), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (file < 0) return 1;
  snprintf(own, sizeof own, "/proc/self/fd/%d", file);
  ssize_t n = readlink(own, s->text, sizeof s->text - 1);
  s->text[n > 0 ? n : 0] = 0;
  struct stat about;
  /* safety: F21a: BLKFLSBUF says nothing of errors, fdatasync does; only what succeeded is a drain */
  bool ok = n > 0 && (size_t)n < sizeof s->text - 1 && fstat(file, &about) == 0 && fdatasync(file) == 0;
  if (ok && S_ISBLK(about.st_mode)) ok = ioctl(file, BLKFLSBUF, 0) == 0;
  else if (s->job == JOB_FLUSH_BLOCK) ok = false;
  close(file);
  return ok ? 0 : 1;
}
static int read_host(struct slot *s) {
  char path[2100];
  size_t n;
  snprintf(path, sizeof path, "%s/host", options->state);
  if (read_text(path, s->text, sizeof s->text - 1, &n) != SEEN) return 1;
  s->text[n] = 0;
  return 0;
}
static int do_job(struct slot *s) {
  switch (s->job) {
    case JOB_ASK: case JOB_DESTROY: return run_virsh(s);
    case JOB_FLUSH_FILE: case JOB_FLUSH_BLOCK: return flush(s);
    case JOB_BARRIER: return chdir(options->run) == 0 && barrier_disk(order, options->state, main_pid) ? 0 : 1;
    case JOB_HOST: return read_host(s);
    default: return 1;
  }
}
static void become_helper(void) {
  sigset_t none;
  prctl(PR_SET_PDEATHSIG, SIGKILL); /* safety: F25: nothing of this program outlives it */
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  signal(SIGTERM, SIG_DFL);
  setpgid(0, 0);
  if (getppid() != main_pid) _exit(1);
  int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (file >= 0) {
    if (write(file, "0", 1) < 0) { /* then the killer spares it; that is no harm */ }
    close(file);
  }
  /* The peer waits for the end of the output: no helper may hold it open. */
  dup2(null_file, 0), dup2(null_file, 1), dup2(null_file, 2);
}
static void helper_main(int index) {
  struct slot *s = &shared->slot[index];
  uint64_t rings;
  become_helper();
  for (;;) {
    while (atomic_load(&s->given) == atomic_load(&s->done))
      if (read(bells[index], &rings, sizeof rings) < 0 && errno != EINTR) _exit(1);
    s->rc = do_job(s);
    atomic_store(&s->done, atomic_load(&s->given));
    ring(bell);
  }
}
/** Makes helpers when asked; they become children of the main process, so that it can await them. */
static void spawner_main(unsigned have) {
  uint64_t rings;
  become_helper();
  for (;;) {
    while (atomic_load(&shared->wanted) <= have)
      if (read(spawner_bell, &rings, sizeof rings) < 0 && errno != EINTR) _exit(1);
    long pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) helper_main((int)have);
    if (pid > 0) atomic_store(&shared->slot[have++].pid, (int)pid);
    else poll(NULL, 0, 20);
    ring(bell);
  }
}

// ── in the main process ──────────────────────────────────────────────────────────────────────────
static bool make_files(void) {
  null_file = open("/dev/null", O_RDWR | O_CLOEXEC);
  bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  spawner_bell = eventfd(0, EFD_CLOEXEC);
  bool ok = null_file >= 0 && bell >= 0 && spawner_bell >= 0;
  for (int i = 0; i < MAX_HELPERS; i++) ok &= (bells[i] = eventfd(0, EFD_CLOEXEC)) >= 0;
  for (int i = 0; i < ASK_FILES; i++)
    for (int w = 0; w < 2; w++) ok &= (ask_file[i][w] = memfd_create("virsh", MFD_CLOEXEC)) >= 0;
  return ok;
}
bool helpers_begin(const struct options *o, struct order *the_order) {
  options = o, order = the_order, main_pid = getpid();
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED || !make_files()) return false;
  for (int i = 0; i < FIRST_HELPERS; i++) {
    pid_t pid = fork();
    if (pid == 0) helper_main(i);
    if (pid < 0) return false;
    setpgid(pid, pid);
    atomic_store(&shared->slot[i].pid, pid);
  }
  atomic_store(&shared->wanted, FIRST_HELPERS);
  spawner = fork();
  if (spawner == 0) spawner_main(FIRST_HELPERS);
  if (spawner > 0) setpgid(spawner, spawner);
  return spawner > 0;
}

static int find_free(void) {
  int found = -1, free_ones = 0;
  unsigned wanted = atomic_load(&shared->wanted);
  for (unsigned i = 0; i < wanted; i++) {
    if (mine[i].busy || mine[i].lost) continue;
    free_ones++; /* one that the spawner is about to make counts, too */
    if (found < 0 && atomic_load(&shared->slot[i].pid) > 0) found = (int)i;
  }
  if (free_ones <= SPARE_HELPERS && wanted < MAX_HELPERS) {
    atomic_store(&shared->wanted, wanted + 1);
    ring(spawner_bell);
  }
  return found;
}
static bool prepare_ask(struct slot *s) {
  for (int i = 0; i < ASK_FILES; i++, next_ask = (next_ask + 1) % ASK_FILES) {
    if (ask_lost[next_ask]) continue;
    for (int w = 0; w < 2; w++)
      if (ftruncate(ask_file[next_ask][w], 0) != 0 || lseek(ask_file[next_ask][w], 0, SEEK_SET) != 0) return false;
    s->ask = next_ask;
    return true;
  }
  return false;
}
char *helpers_words(void) {
  for (int i = 0; i < ASK_FILES && ask_lost[next_ask]; i++) next_ask = (next_ask + 1) % ASK_FILES;
  return shared->words[next_ask];
}
bool helpers_give(enum job job, uint32_t item, uint32_t turn, int64_t number, int64_t until) {
  int i = find_free();
  if (i < 0) return false;
  struct slot *s = &shared->slot[i];
  if (job == JOB_ASK && !prepare_ask(s)) return false;
  s->job = job, s->item = item, s->turn = turn, s->number = number, s->rc = 125;
  mine[i].busy = true, mine[i].until = until, mine[i].since = clock_ms();
  atomic_fetch_add(&s->given, 1);
  ring(bells[i]);
  return true;
}

void helpers_wait(int wait_ms) {
  struct pollfd one = {bell, POLLIN, 0};
  uint64_t rings;
  poll(&one, 1, wait_ms);
  if (one.revents & POLLIN && read(bell, &rings, sizeof rings) < 0) return;
}
static void fill(struct report *r, const struct slot *s, bool late) {
  *r = (struct report){s->job, s->rc, s->item, s->turn, s->text, s->ask, late};
}
/** It ended by itself: it became virsh (nothing could be forked), or something killed it. */
static bool has_ended(int i) {
  siginfo_t end = {0};
  struct slot *s = &shared->slot[i];
  /* It is not reaped: until we end, its number can't become another's, and may be sent SIGKILL. */
  if (waitid(P_PID, (id_t)atomic_load(&s->pid), &end, WEXITED | WNOHANG | WNOWAIT) != 0 || end.si_pid == 0)
    return false;
  mine[i].lost = true;
  kill(-atomic_load(&s->pid), SIGKILL);
  s->rc = end.si_code == CLD_EXITED ? end.si_status : 125;
  return true;
}
static void end_late(int i) {
  struct slot *s = &shared->slot[i];
  /* safety: F25: a helper and its children end at its limit; if it can't die, a spare one works on */
  kill(-atomic_load(&s->pid), SIGKILL);
  kill(atomic_load(&s->pid), SIGKILL);
  mine[i].lost = true;
  /* It might still write to what the next question's answer is read from. */
  if (s->job == JOB_ASK) ask_lost[s->ask] = true;
}
bool helpers_next(int64_t now, struct report *report) {
  for (unsigned i = 0; i < atomic_load(&shared->wanted); i++) {
    struct slot *s = &shared->slot[i];
    if (!mine[i].busy || mine[i].lost) continue;
    bool done = atomic_load(&s->done) == atomic_load(&s->given), late = !done && now >= mine[i].until;
    if (!done && !late && !has_ended((int)i)) continue;
    if (late) end_late((int)i);
    mine[i].busy = false;
    fill(report, s, late);
    if (late) report->rc = 137;
    return true;
  }
  return false;
}
size_t helpers_said(int ask, int which, char *buffer, size_t room) {
  size_t length = 0;
  ssize_t n;
  while (length < room && (n = pread(ask_file[ask][which], buffer + length, room - length, (off_t)length)) > 0)
    length += (size_t)n;
  return length;
}
bool helpers_own(int pid, int group) {
  if (!shared) return false;
  if (pid == spawner) return true;
  for (unsigned i = 0; i < atomic_load(&shared->wanted); i++) {
    int one = atomic_load(&shared->slot[i].pid);
    if (one > 0 && (one == pid || one == group)) return true;
  }
  return false;
}
int helpers_flushing(int64_t now, int young_ms) {
  int count = 0;
  for (unsigned i = 0; i < atomic_load(&shared->wanted); i++) {
    enum job job = shared->slot[i].job;
    if (mine[i].busy && !mine[i].lost && (job == JOB_FLUSH_FILE || job == JOB_FLUSH_BLOCK))
      count += now - mine[i].since <= young_ms;
  }
  return count;
}
void helpers_end(void) {
  if (!shared || shared == MAP_FAILED) return;
  if (spawner > 0) kill(spawner, SIGKILL);
  for (unsigned i = 0; i < atomic_load(&shared->wanted); i++) {
    int pid = atomic_load(&shared->slot[i].pid);
    if (pid <= 0) continue;
    /* safety: F25: nothing that this program started outlives it (a task in D dies when it wakes up) */
    kill(-pid, SIGKILL);
    kill(pid, SIGKILL);
  }
}
