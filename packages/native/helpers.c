#include "slots.h"
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
struct mine { bool busy, lost; int64_t until, since; };

static struct workshop workshop = {.bell = -1};
static struct shared *shared;
static struct mine mine[MAX_HELPERS];
static int spawner, next_ask;
static unsigned slots; /* so many have been asked for */
static bool ask_lost[ASK_FILES];
static int ask_group[ASK_FILES]; /* the group that may still write there; 0: reaped */

// ── in the main process ──────────────────────────────────────────────────────────────────────────
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
static bool prepare_ask(struct slot *s) {
  for (int i = 0; i < ASK_FILES; i++, next_ask = (next_ask + 1) % ASK_FILES) {
    if (ask_lost[next_ask]) continue;
    for (int w = 0; w < 2; w++) {
      int file = workshop.ask_file[next_ask][w];
      if (ftruncate(file, 0) != 0 || lseek(file, 0, SEEK_SET) != 0) return false;
    }
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
  int i = find_free(job);
  if (i < 0) return false;
  struct slot *s = &shared->slot[i];
  if (job == JOB_ASK && !prepare_ask(s)) return false;
  s->job = job, s->item = item, s->turn = turn, s->number = number, s->rc = 125;
  s->identity = (struct identity){0, 0};
  mine[i].busy = true, mine[i].until = until, mine[i].since = clock_ms();
  atomic_fetch_add(&s->given, 1);
  slots_wake(&s->given);
  return true;
}

void helpers_ready(void) {
  helpers_forget();
  for (int i = 0; i < CONNECTED_HELPERS; i++)
    if (!helpers_give(JOB_READY, 0, 0, 0, clock_ms() + 5000)) return;
}
void helpers_forget(void) {
  struct report ignored;
  while (helpers_next(clock_ms(), &ignored)) continue;
}

int helpers_bell(void) { return workshop.bell; }
void helpers_heard(void) {
  uint64_t rings;
  if (read(workshop.bell, &rings, sizeof rings) < 0) return;
}
static void fill(struct report *r, const struct slot *s, bool late) {
  *r = (struct report){s->job, s->rc, s->item, s->turn, s->text, s->identity, s->ask, late};
}
static void end_helper(int i) {
  int pid = atomic_load(&shared->slot[i].pid);
  mine[i].lost = true;
  kill(-pid, SIGKILL);
  kill(pid, SIGKILL);
}
/** It ended by itself: it became virsh (nothing could be forked), or something killed it. */
static bool has_ended(int i) {
  siginfo_t end = {0};
  struct slot *s = &shared->slot[i];
  /* It is not reaped: until the order has ended, its number can't become another's, and may be sent SIGKILL. */
  if (waitid(P_PID, (id_t)atomic_load(&s->pid), &end, WEXITED | WNOHANG | WNOWAIT) != 0 || end.si_pid == 0)
    return false;
  end_helper(i);
  s->rc = end.si_code == CLD_EXITED ? end.si_status : 125;
  return true;
}
static void end_late(int i) {
  struct slot *s = &shared->slot[i];
  /* safety: F25: a helper and its children end at its limit; if it can't die, a spare one works on */
  end_helper(i);
  /* It might still write to what the next question's answer is read from. */
  if (s->job == JOB_ASK) ask_lost[s->ask] = true, ask_group[s->ask] = atomic_load(&s->pid);
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
size_t helpers_said(int ask, int which, char *buffer, size_t room) {
  size_t length = 0;
  ssize_t n;
  while (length < room &&
         (n = pread(workshop.ask_file[ask][which], buffer + length, room - length, (off_t)length)) > 0)
    length += (size_t)n;
  return length;
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
int helpers_flushing(int64_t now, int young_ms) {
  int count = 0;
  for (unsigned i = 0; i < slots; i++) {
    enum job job = shared->slot[i].job;
    if (mine[i].busy && !mine[i].lost && (job == JOB_NAME || job == JOB_FLUSH_FILE || job == JOB_FLUSH_BLOCK))
      count += now - mine[i].since <= young_ms;
  }
  return count;
}

/** Its place is free again once it is reaped; until then it must be where it can't do anything any more. */
static bool replace(int i, bool *stuck) {
  struct slot *s = &shared->slot[i];
  struct stat_line line;
  int pid = atomic_load(&s->pid);
  if (waitpid(pid, NULL, WNOHANG) == pid) {
    atomic_store(&s->done, atomic_load(&s->given));
    mine[i] = (struct mine){false, false, 0, 0};
    s->connected = false;
    atomic_store(&s->pid, 0);
    return true;
  }
  /* safety: F34: what has SIGKILL and is in D never works on; what still runs might take the next order
     for its own, and set another VM's barrier */
  *stuck |= read_stat(pid, &line) != SEEN || line.state != 'D';
  return false;
}
/** Nobody of that group is left who could write there. */
static void free_asks(void) {
  for (int i = 0; i < ASK_FILES; i++)
    if (ask_lost[i] && kill(-ask_group[i], 0) != 0 && errno == ESRCH) ask_lost[i] = false;
}
int helpers_renew(void) {
  int64_t until = clock_ms() + 1000;
  for (unsigned i = 0; i < slots; i++)
    if (mine[i].busy && !mine[i].lost) end_late((int)i);
  for (bool stuck = true, replaced; stuck;) {
    unsigned left = 0;
    int asks = 0;
    stuck = replaced = false;
    for (unsigned i = 0; i < slots; i++) {
      mine[i].busy = false;
      if (!mine[i].lost) continue;
      if (replace((int)i, &stuck)) replaced = true;
      else left++;
    }
    if (replaced) call_spawner();
    free_asks();
    for (int i = 0; i < ASK_FILES; i++) asks += ask_lost[i];
    if (!stuck) return left > MAX_HELPERS / 2 || asks > ASK_FILES / 2 ? -1 : (int)left;
    if (clock_ms() >= until) return -1;
    poll(NULL, 0, 1);
  }
  return -1;
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
