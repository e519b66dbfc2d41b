#include "slots.h"
#include "asks.h"
#include "clock.h"
#include "memory.h"
#include "procfs.h"
#include "table.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/** What only the main process knows of a helper. `lost`: it is ended, and not yet replaced. */
struct mine { bool busy, lost, checked; int64_t until, since; };
enum { READY_LIMIT = 5000, FIRST_PAUSE = 30000, MAX_PAUSE = 240000 };

static struct workshop workshop = {.bell = -1};
static struct shared *shared;
static struct mine mine[MAX_HELPERS];
static int spawner;
static unsigned slots; /* so many have been asked for */
/* Connections to libvirt while no order is served: how many are still to be seen to, and from when on. */
static struct { bool idle; int left; int64_t at, pause; } readiness;

// ── in the main process ──────────────────────────────────────────────────────────────────────────
char *helpers_words(void) { return shared->words[asks_place()]; }
size_t helpers_said(int ask, int which, char *buffer, size_t room) { return asks_said(&workshop, ask, which, buffer, room); }
static bool make_files(void) {
  workshop.null_file = open("/dev/null", O_RDWR | O_CLOEXEC);
  workshop.bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  bool ok = workshop.null_file >= 0 && workshop.bell >= 0;
  for (int i = 0; i < ASK_FILES; i++)
    for (int w = 0; w < 2; w++) ok &= (workshop.ask_file[i][w] = memfd_create("virsh", MFD_CLOEXEC)) >= 0;
  return ok;
}
static bool ask_for_slot(void) {
  struct slot *s = &shared->slot[slots];
  /* safety: F26: a helper whose place in memory is not there would end the main process instead */
  if (slots == MAX_HELPERS || !memory_ready(s, sizeof *s)) return false;
  atomic_store(&s->wanted, 1);
  slots++;
  return true;
}
bool helpers_begin(const struct options *options, struct order *order) {
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED || !memory_ready(&shared->asked, sizeof shared->asked) || !make_files()) return false;
  workshop.options = options, workshop.order = order, workshop.shared = shared, workshop.main_pid = getpid();
  /* Several guests at a time have fewer each: more are made when they are needed. */
  for (int i = 0; i < (spare_exists() ? GUEST_HELPERS : FIRST_HELPERS); i++) {
    if (!ask_for_slot()) return false;
    pid_t pid = fork();
    if (pid == 0) helper_main(&workshop, &shared->slot[i]);
    if (pid < 0) return false;
    setpgid(pid, pid);
    atomic_store(&shared->slot[i].pid, pid);
  }
  spawner = fork();
  if (spawner == 0) spawner_main(&workshop);
  if (spawner > 0) setpgid(spawner, spawner);
  return spawner > 0;
}
bool helpers_room(struct size size) {
  size_t words = (size_t)size.vms * 240;
  for (int i = 0; i < ASK_FILES; i++)
    if (!memory_ready(shared->words[i], words < MAX_WORDS ? words : MAX_WORDS)) return false;
  return true;
}

static void call_spawner(void) {
  atomic_fetch_add(&shared->asked, 1);
  slots_wake(&shared->asked);
}
/** One that is connected to libvirt is the first to be asked for that, and the last for anything else. */
static bool is_better(enum job job, int than, unsigned i) {
  bool talks = job == JOB_ASK || job == JOB_DESTROY || job == JOB_READY;
  return than < 0 || (shared->slot[i].connected == talks && shared->slot[than].connected != talks);
}
static int find_free(enum job job) {
  int found = -1, free_ones = 0;
  for (unsigned i = 0; i < slots; i++) {
    if (mine[i].busy || mine[i].lost) continue;
    free_ones++; /* one that the spawner is about to make counts, too */
    if (atomic_load(&shared->slot[i].pid) > 0 && is_better(job, found, i)) found = (int)i;
  }
  if (free_ones <= SPARE_HELPERS && ask_for_slot()) call_spawner();
  return found;
}
static bool is_free(unsigned i) { return !mine[i].busy && !mine[i].lost && atomic_load(&shared->slot[i].pid) > 0; }
static void end_helper(int i) {
  int pid = atomic_load(&shared->slot[i].pid);
  mine[i].lost = true;
  kill(-pid, SIGKILL);
  kill(pid, SIGKILL);
}
static void lose_ask(const struct slot *s) {
  if (s->job == JOB_ASK) asks_lose(s->ask, atomic_load(&s->pid));
}
/** It ended by itself: it became virsh (nothing could be forked), or something killed it. */
static bool has_ended(int i) {
  siginfo_t end = {0};
  struct slot *s = &shared->slot[i];
  /* It is not reaped: until the order has ended, its number can't become another's, and may be sent SIGKILL. */
  if (waitid(P_PID, (id_t)atomic_load(&s->pid), &end, WEXITED | WNOHANG | WNOWAIT) != 0 || end.si_pid == 0)
    return false;
  end_helper(i);
  /* safety: F21a: killed by somebody else (memory was short): what it was to do is not done, and not refused either */
  s->rc = end.si_code == CLD_EXITED ? end.si_status : KILLED;
  if (mine[i].busy && s->rc == KILLED) lose_ask(s);
  return true;
}
/** Its place is free again once it is reaped; until then it must be where it can't do anything any more. */
static bool replace(int i, bool *stuck) {
  struct slot *s = &shared->slot[i];
  struct stat_line line;
  int pid = atomic_load(&s->pid);
  if (waitpid(pid, NULL, WNOHANG) == pid) {
    atomic_store(&s->done, atomic_load(&s->given));
    mine[i] = (struct mine){0};
    s->connected = false;
    atomic_store(&s->pid, 0);
    return true;
  }
  /* safety: F34: what has SIGKILL and is in D never works on; what still runs might take the next order
     for its own, and set another VM's barrier */
  *stuck |= read_stat(pid, &line) != SEEN || line.state != 'D';
  return false;
}
/** Whoever has died, and is no longer needed for its end to be known, is replaced. How many can't be yet. */
static unsigned renew_dead(bool *stuck) {
  bool replaced = false;
  unsigned left = 0;
  *stuck = false;
  for (unsigned i = 0; i < slots; i++) {
    if (is_free(i)) has_ended((int)i);
    if (!mine[i].lost || mine[i].busy) continue;
    if (replace((int)i, stuck)) replaced = true;
    else left++;
  }
  if (replaced) call_spawner();
  asks_free();
  return left;
}

bool helpers_spare(int keep) {
  bool in_the_making = false;
  for (unsigned i = 0; i < slots; i++) {
    keep -= is_free(i);
    in_the_making |= atomic_load(&shared->slot[i].pid) == 0;
  }
  if (keep >= 0 && !in_the_making && ask_for_slot()) call_spawner();
  return keep < 0;
}
static bool give(int i, enum job job, uint32_t item, uint32_t turn, int64_t number, int64_t until) {
  struct slot *s = &shared->slot[i];
  if (job == JOB_ASK && (s->ask = asks_next(&workshop)) < 0) return false;
  s->job = job, s->item = item, s->turn = turn, s->number = number, s->rc = 125;
  s->identity = (struct identity){0, 0};
  mine[i].busy = true, mine[i].until = until, mine[i].since = clock_ms();
  atomic_fetch_add(&s->given, 1);
  slots_wake(&s->given);
  return true;
}
bool helpers_give(enum job job, uint32_t item, uint32_t turn, int64_t number, int64_t until) {
  int i;
  do i = find_free(job);
  while (i >= 0 && has_ended(i)); /* it was killed while it had nothing to do */
  return i >= 0 && give(i, job, item, turn, number, until);
}

static bool connects(void) {
  for (unsigned i = 0; i < slots; i++)
    if (mine[i].busy && !mine[i].lost && shared->slot[i].job == JOB_READY) return true;
  return false;
}
/** One that has not been asked in this round, those first that are connected. */
static int find_unready(void) {
  int found = -1;
  for (unsigned i = 0; i < slots; i++)
    if (is_free(i) && !mine[i].checked && is_better(JOB_READY, found, i)) found = (int)i;
  return found;
}
static void hear_ready(const struct report *r, int64_t now) {
  if (r->rc == 0) {
    readiness.pause = 0;
    return;
  }
  /* libvirt hangs: its connection only makes an order faster, and each try may cost a helper. */
  readiness.pause = readiness.pause == 0 ? FIRST_PAUSE : 2 * readiness.pause;
  if (readiness.pause > MAX_PAUSE) readiness.pause = MAX_PAUSE;
  readiness.at = now + readiness.pause, readiness.left = 0;
}
void helpers_tend(void) {
  struct report r;
  bool ignored;
  int64_t now = clock_ms();
  if (!readiness.idle) return;
  while (helpers_next(now, &r))
    if (r.job == JOB_READY) hear_ready(&r, now);
  renew_dead(&ignored);
  /* safety: F27: one at a time, and never one that an order would lack: libvirt may hang for ever, and fork fail */
  if (readiness.left == 0 || now < readiness.at || connects() || !helpers_spare(ORDER_HELPERS)) return;
  int i = find_unready();
  if (i < 0) return;
  readiness.left--;
  mine[i].checked = true;
  give(i, JOB_READY, 0, 0, 0, now + READY_LIMIT);
}
void helpers_ready(void) {
  for (unsigned i = 0; i < slots; i++) mine[i].checked = false;
  readiness.idle = true, readiness.left = CONNECTED_HELPERS;
  helpers_tend();
}
void helpers_forget(void) {
  struct report ignored;
  bool stuck;
  readiness.idle = false;
  while (helpers_next(clock_ms(), &ignored)) continue;
  renew_dead(&stuck);
}

int helpers_bell(void) { return workshop.bell; }
void helpers_heard(void) {
  uint64_t rings;
  if (read(workshop.bell, &rings, sizeof rings) < 0) return;
}
static void fill(struct report *r, const struct slot *s, bool late) {
  *r = (struct report){s->job, s->rc, s->item, s->turn, s->text, s->identity, s->ask, late};
}
static void end_late(int i) {
  struct slot *s = &shared->slot[i];
  /* safety: F25: a helper and its children end at its limit; if it can't die, a spare one works on */
  end_helper(i);
  lose_ask(s);
}
bool helpers_next(int64_t now, struct report *report) {
  for (unsigned i = 0; i < slots; i++) {
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
bool helpers_own(int pid, int group) {
  if (!shared) return false;
  if (pid == spawner) return true;
  for (unsigned i = 0; i < slots; i++) {
    int one = atomic_load(&shared->slot[i].pid);
    if (one > 0 && (one == pid || one == group)) return true;
  }
  return false;
}
bool helpers_at_storage(unsigned *at, uint32_t *disk, int64_t *since) {
  for (; *at < slots; ++*at) {
    enum job job = shared->slot[*at].job;
    if (!mine[*at].busy || mine[*at].lost || !(job == JOB_NAME || job == JOB_FLUSH_FILE || job == JOB_FLUSH_BLOCK)) continue;
    *disk = shared->slot[*at].item, *since = mine[*at].since;
    return ++*at, true;
  }
  return false;
}

int helpers_renew(void) {
  int64_t until = clock_ms() + 1000;
  for (unsigned i = 0; i < slots; i++) {
    if (mine[i].busy && !mine[i].lost) end_late((int)i);
    mine[i].busy = false;
  }
  for (bool stuck;;) {
    unsigned left = renew_dead(&stuck);
    if (!stuck) return left > MAX_HELPERS / 2 || asks_lost() > ASK_FILES / 2 ? -1 : (int)left;
    if (clock_ms() >= until) return -1;
    poll(NULL, 0, 1);
  }
}
void helpers_end(void) {
  if (!shared || shared == MAP_FAILED) return;
  if (spawner > 0) kill(spawner, SIGKILL);
  for (unsigned i = 0; i < slots; i++) {
    int pid = atomic_load(&shared->slot[i].pid);
    if (pid <= 0) continue;
    /* safety: F25: nothing that this program started outlives it (a task in D dies when it wakes up) */
    kill(-pid, SIGKILL);
    kill(pid, SIGKILL);
  }
}
