#include "guests.h"
#include "answer.h"
#include "clock.h"
#include "engine.h"
#include "input.h"
#include "memory.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int listen_at(const char *run) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  mkdir(run, 0700);
  int n = snprintf(address.sun_path, sizeof address.sun_path, "%s/fence.sock", run);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || n < 0 || (size_t)n >= sizeof address.sun_path) return -1;
  unlink(address.sun_path);
  /* safety: F29a: for root alone, by the umask; others come through the door, which looks at certificates */
  return bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 16) == 0 ? fd : -1;
}

// ── who gives way ────────────────────────────────────────────────────────────────────────────────
/** All workers, for each of them to see. `pid` 0: none there; `idle_since` 0: without a guest, or at an order. */
static struct worker { atomic_int pid; atomic_llong idle_since; } *staff;
static int own_place = -1, own_listener = -1;
bool guests_own(int parent) {
  for (int i = 0; staff && i < MAX_WORKERS; i++)
    if (parent > 0 && atomic_load(&staff[i].pid) == parent) return true;
  return false;
}
static void idle_since(int64_t since) {
  if (own_place >= 0) atomic_store(&staff[own_place].idle_since, since);
}
void guests_at_work(bool at_work) { idle_since(at_work ? 0 : clock_ms()); }
static bool is_oldest(int64_t since) {
  for (int i = 0; i < MAX_WORKERS; i++) {
    int64_t other = atomic_load(&staff[i].idle_since);
    if (i != own_place && other > 0 && atomic_load(&staff[i].pid) > 0 && (other < since || (other == since && i < own_place))) return false;
  }
  return true;
}
/* A guest who waits is taken at once where a worker is free: who still waits a moment later finds none. */
static bool gives_way(int64_t now, int64_t *waiting_since) {
  struct pollfd waits = {own_listener, POLLIN, 0};
  int64_t since = atomic_load(&staff[own_place].idle_since);
  if (poll(&waits, 1, 0) <= 0) return *waiting_since = 0, false;
  if (*waiting_since == 0) *waiting_since = now;
  return since > 0 && now - *waiting_since >= 100 && now - since >= MIN_STAY && is_oldest(since);
}
bool guests_wait(int *limit_ms) {
  static int64_t waiting_since;
  if (own_place < 0) return true;
  for (int64_t now = clock_ms(), until = now + *limit_ms; now < until; now = clock_ms()) {
    if (gives_way(now, &waiting_since)) return waiting_since = 0, false;
    /* While others wait, it is looked at again soon; they do not wake us, as we may not be the one to leave. */
    int64_t rest = until - now, pause = waiting_since ? 50 : rest;
    struct pollfd ends[2] = {{0, POLLIN, 0}, {waiting_since ? -1 : own_listener, POLLIN, 0}};
    if (input_pending() || (poll(ends, 2, (int)(pause < rest ? pause : rest)) > 0 && ends[0].revents))
      return *limit_ms = LINE_MS, true;
  }
  return *limit_ms = 0, true;
}

// ── a worker ─────────────────────────────────────────────────────────────────────────────────────
/** Each direction is a pipe. What is sent over a socket of this kind needs memory; a pipe keeps two pages that
    it has once had, and these serve when the kernel has no other for it. */
struct ends { int own, guest; };
static bool make_pipe(struct ends *ends, bool to_guest) {
  static char two_pages[8192];
  int both[2];
  if (pipe2(both, O_CLOEXEC) != 0) return false;
  bool had = write(both[1], two_pages, sizeof two_pages) == sizeof two_pages &&
             read(both[0], two_pages, sizeof two_pages) == sizeof two_pages;
  *ends = to_guest ? (struct ends){both[1], both[0]} : (struct ends){both[0], both[1]};
  if (!had) close(both[0]), close(both[1]);
  return had;
}
/** The guest's ends of the pipes, in one message: where he writes, where he reads. */
static bool hand_over(int guest, int writes, int reads) {
  char one = 'p';
  union { struct cmsghdr head; char room[CMSG_SPACE(2 * sizeof(int))]; } control = {0};
  struct iovec text = {&one, 1};
  struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  int files[2] = {writes, reads};
  control.head = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof files), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
  memcpy(CMSG_DATA(&control.head), files, sizeof files);
  ssize_t n;
  for (int tries = 0; (n = sendmsg(guest, &message, MSG_NOSIGNAL | MSG_DONTWAIT)) < 0 && spare_help(errno, tries); tries++) continue;
  return n == 1;
}
static bool meet_guest(int listener, const struct ends *in, const struct ends *out) {
  int guest;
  for (int tries = 0; (guest = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) < 0 && spare_help(errno, tries); tries++) continue;
  bool here = guest >= 0 && hand_over(guest, in->guest, out->guest);
  if (guest >= 0) close(guest);
  return here;
}
/** Standard input and output are the next guest's; they close when they become something else. */
static void welcome(int listener) {
  struct ends in, out;
  /* Memory or files are short, or the guest has gone again: not faster than a hundred times a second. */
  while (!make_pipe(&in, false)) poll(NULL, 0, 10);
  while (!make_pipe(&out, true)) poll(NULL, 0, 10);
  while (!meet_guest(listener, &in, &out)) poll(NULL, 0, 10);
  dup2(in.own, 0), dup2(out.own, 1);
  close(in.own), close(in.guest), close(out.own), close(out.guest);
}
static void work(struct session *s, int listener, bool (*begin)(struct session *session)) {
  idle_since(0); /* there from now on, whatever the memory is like */
  int null_file = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null_file < 0 || !begin(s)) return;
  do {
    dup2(null_file, 0), dup2(null_file, 1);
    welcome(listener);
    input_forget(), answer_forget();
    guests_at_work(false);
  } while (session_receive(s) && (idle_since(0), true));
  idle_since(0);
}

// ── their keeper ─────────────────────────────────────────────────────────────────────────────────

/* Before all others, or what is given back for a call of ours is taken by whoever wakes up for it. */
void guests_urgent(bool urgent) {
  if (!staff) return;
  sched_setscheduler(0, urgent ? SCHED_FIFO : SCHED_OTHER, &(struct sched_param){.sched_priority = urgent ? 1 : 0});
}
static pid_t hire(struct session *s, int place, bool (*begin)(struct session *session)) {
  pid_t keeper = getpid(), pid = fork();
  if (pid != 0) return pid;
  guests_urgent(true);
  prctl(PR_SET_PDEATHSIG, SIGTERM); /* safety: F25: nothing of this program outlives it */
  own_place = place;
  if (getppid() == keeper) work(s, own_listener, begin);
  session_cleanup(s);
  _exit(1);
}
int guests_serve(struct session *s, int workers, bool (*begin)(struct session *session)) {
  int listener = own_listener = listen_at(s->options.run);
  staff = mmap(NULL, MAX_WORKERS * sizeof *staff, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (listener < 0 || staff == MAP_FAILED) {
    fprintf(stderr, "fenceline-fence: can't listen at %s/fence.sock: %s\n", s->options.run, strerror(errno));
    return 1;
  }
  for (bool told = false;; told = true) {
    bool short_of = false;
    for (int i = 0; i < workers; i++) {
      if (atomic_load(&staff[i].pid) <= 0) atomic_store(&staff[i].pid, hire(s, i, begin));
      short_of |= atomic_load(&staff[i].pid) <= 0;
    }
    if (!told) puts("listening"), fflush(stdout);
    /* One that ended is replaced, at most five times a second; where nothing can be forked, later. */
    siginfo_t gone = {0};
    bool ended = waitid(P_ALL, 0, &gone, WEXITED | WNOWAIT | (short_of ? WNOHANG : 0)) == 0 && gone.si_pid > 0;
    for (int i = 0; ended && i < workers; i++)
      if (atomic_load(&staff[i].pid) == gone.si_pid) atomic_store(&staff[i].idle_since, 0), atomic_store(&staff[i].pid, 0);
    /* Only now: until it is reaped, its number can't be another process's. */
    if (ended) waitpid(gone.si_pid, NULL, 0);
    poll(NULL, 0, short_of && !ended ? 1000 : 200);
  }
}
