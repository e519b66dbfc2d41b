#include "guests.h"
#include "answer.h"
#include "clock.h"
#include "engine.h"
#include "input.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
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

// ── a worker ─────────────────────────────────────────────────────────────────────────────────────
/** Input and output are the guest's; -1: nobody's. */
static void face(int guest, int null_file) {
  int file = guest >= 0 ? guest : null_file;
  dup2(file, 0), dup2(file, 1);
  if (guest >= 0) close(guest);
}
static int await_guest(int listener) {
  for (;;) {
    int guest = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (guest >= 0) return guest;
    /* Memory or files are short, or the guest has gone again: not faster than a hundred times a second. */
    if (errno != EINTR) poll(NULL, 0, 10);
  }
}
static void work(struct session *s, int listener, bool (*begin)(struct session *session)) {
  int null_file = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null_file < 0 || !begin(s)) return;
  do {
    face(-1, null_file);
    face(await_guest(listener), null_file);
    input_forget(), answer_to_guest();
  } while (session_receive(s));
}

// ── their keeper ─────────────────────────────────────────────────────────────────────────────────
static pid_t hire(struct session *s, int listener, bool (*begin)(struct session *session)) {
  pid_t keeper = getpid(), pid = fork();
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGTERM); /* safety: F25: nothing of this program outlives it */
  if (getppid() == keeper) work(s, listener, begin);
  session_cleanup(s);
  _exit(1);
}
int guests_serve(struct session *s, int workers, bool (*begin)(struct session *session)) {
  pid_t staff[MAX_WORKERS] = {0};
  int listener = listen_at(s->options.run);
  if (listener < 0) {
    fprintf(stderr, "fenceline-fence: can't listen at %s/fence.sock: %s\n", s->options.run, strerror(errno));
    return 1;
  }
  for (bool told = false;; told = true) {
    bool short_of = false;
    for (int i = 0; i < workers; i++) {
      if (staff[i] <= 0) staff[i] = hire(s, listener, begin);
      short_of |= staff[i] <= 0;
    }
    if (!told) puts("listening"), fflush(stdout);
    /* One that ended is replaced, at most five times a second; where nothing can be forked, later. */
    pid_t gone = waitpid(-1, NULL, short_of ? WNOHANG : 0);
    for (int i = 0; gone > 0 && i < workers; i++)
      if (staff[i] == gone) staff[i] = 0;
    poll(NULL, 0, short_of && gone <= 0 ? 1000 : 200);
  }
}
