// fenceline-fence: closes runs of VMs on this host and proves it (fence program protocol v1).
//
// Forced command of the siblings' keys (F29) and child of this host's own agent. Orders come as data on
// standard input; SSH_ORIGINAL_COMMAND and other arguments are ignored (F18).
#include "answer.h"
#include "clock.h"
#include "guests.h"
#include "handle.h"
#include "memory.h"
#include "number.h"
#include "session.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static TABLE struct session session;
static int workers; /* 0: one session, on standard input */

static void on_term(int signal_number) {
  (void)signal_number;
  session_cleanup(&session);
  _exit(1);
}

static void take(char *to, size_t room, const char *value) {
  if (value && value[0] && strlen(value) < room) strcpy(to, value);
}
static int workers_of(const char *value) {
  int64_t n;
  return number_parse(value, strlen(value), &n) && n >= 1 && n <= MAX_WORKERS ? (int)n : 4;
}
static int64_t idle_ms(const char *value) {
  int64_t seconds;
  if (!number_parse(value, strlen(value), &seconds) || seconds < 1 || seconds > 3600) seconds = IDLE_SEC;
  return seconds * 1000;
}
/* sshd passes no environment to a forced command; the agent that installs this names the options there. */
static void read_options(struct options *o, int argc, char **argv) {
  take(o->run, sizeof o->run, "/run/fenceline");
  take(o->state, sizeof o->state, "/var/lib/fenceline/agent");
  take(o->uri, sizeof o->uri, "qemu:///system");
  take(o->virsh, sizeof o->virsh, "virsh");
  take(o->run, sizeof o->run, getenv("FENCELINE_RUN_DIR"));
  take(o->state, sizeof o->state, getenv("FENCELINE_STATE_DIR"));
  take(o->uri, sizeof o->uri, getenv("FENCELINE_LIBVIRT_URI"));
  o->idle_ms = IDLE_SEC * 1000;
  for (int i = 1; i < argc; i++) {
    const char *value = i + 1 < argc ? argv[i + 1] : "";
    if (strcmp(argv[i], "--tokens") == 0) o->tokens = true;
    else if (strcmp(argv[i], "--run-dir") == 0) take(o->run, sizeof o->run, value), i++;
    else if (strcmp(argv[i], "--state-dir") == 0) take(o->state, sizeof o->state, value), i++;
    else if (strcmp(argv[i], "--uri") == 0) take(o->uri, sizeof o->uri, value), i++;
    else if (strcmp(argv[i], "--virsh") == 0) take(o->virsh, sizeof o->virsh, value), i++;
    else if (strcmp(argv[i], "--listen") == 0) workers = workers_of(value), i++;
    else if (strcmp(argv[i], "--idle-sec") == 0) o->idle_ms = idle_ms(value), i++;
  }
  const char *path = getenv("FENCELINE_PATH"), *socket = getenv("FENCELINE_LIBVIRT_SOCKET");
  take(o->socket, sizeof o->socket, socket);
  /* A test that brings a virsh of its own means that one. */
  o->never_talks = path && path[0] && !o->socket[0];
  setenv("PATH", path && path[0] ? path : "/usr/sbin:/usr/bin:/sbin:/bin", 1);
  setenv("LC_ALL", "C", 1);
}
static void protect(void) {
  static const char LAST[] = "-1000";
  int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (file >= 0) {
    if (write(file, LAST, sizeof LAST - 1) < 0) { /* not allowed in a user namespace; said by nobody */ }
    close(file);
  }
  /* F26. Not fatal: without it the program is only less sure to work when memory is short. */
  if (!memory_lock()) return;
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
  action.sa_handler = on_term;
  sigaction(SIGTERM, &action, NULL);
}

/** All that an order needs is there before the peer hears of us (F26). */
static const char *prepare(struct session *s) {
  /* Shared with the helpers, which are made before the order has come. */
  s->order = mmap(NULL, sizeof *s->order, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  bool helped = s->order != MAP_FAILED && helpers_begin(&s->options, s->order);
  protect();
  /* After the helpers were made: what is shared with them since is copied now, not when it is written to. */
  if (!helped || !handles_begin(helpers_bell()) || !session_room(s, FIRST_SIZE) || !memory_own())
    return "no-helpers processes or memory are short";
  helpers_ready();
  return clock_begin() == 0 ? NULL : "no-clock no watchdog";
}
static bool prepare_worker(struct session *s) {
  s->receives = true;
  return prepare(s) == NULL;
}

int main(int argc, char **argv) {
  read_options(&session.options, argc, argv);
  umask(077);
  handle_signals();
  if (workers > 0) {
    protect();
    if (spare_begin()) return guests_serve(&session, workers, prepare_worker);
    fprintf(stderr, "fenceline-fence: memory is short\n");
    return 1;
  }
  const char *why = prepare(&session);
  session_greet();
  if (why) session_refuse(&session, why);
  int status = session_serve(&session);
  session_cleanup(&session);
  return status;
}
