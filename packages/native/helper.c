#include "slots.h"
#include "memory.h"
#include "same.h"
#include "table.h"
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Not an eventfd for each: a thousand helpers would need a thousand files. */
static void sleep_on(atomic_uint *word, unsigned value) {
  syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
}
void slots_wake(atomic_uint *word) { syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0); }

static void become_helper(const struct workshop *w) {
  sigset_t none;
  prctl(PR_SET_PDEATHSIG, SIGKILL); /* safety: F25: nothing of this program outlives it */
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  signal(SIGTERM, SIG_DFL);
  setpgid(0, 0);
  if (getppid() != w->main_pid) _exit(1);
  /* A page that it shares with who made it is missing when it is used: without memory it would hang there. */
  if (spare_exists() && !(memory_little() && same_room() && order_room(w->order, FIRST_SIZE))) _exit(1);
  int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (file >= 0) {
    if (write(file, "0", 1) < 0) { /* then the killer spares it; that is no harm */ }
    close(file);
  }
  /* The peer waits for the end of the output: no helper may hold it open. */
  for (int i = 0; i < 3; i++) dup2(w->null_file, i);
}
void helper_main(const struct workshop *w, struct slot *s) {
  uint64_t one = 1;
  become_helper(w);
  if (spare_exists() && !memory_ready(s, sizeof *s)) _exit(1);
  for (;;) {
    unsigned given = atomic_load(&s->given);
    if (given == atomic_load(&s->done)) {
      sleep_on(&s->given, given);
      continue;
    }
    s->rc = do_job(w, s);
    atomic_store(&s->done, given);
    if (write(w->bell, &one, sizeof one) < 0) continue; /* full means: it has been rung */
  }
}
/* They become children of the main process, so that it can await them. */
void spawner_main(const struct workshop *w) {
  become_helper(w);
  for (;;) {
    unsigned asked = atomic_load(&w->shared->asked);
    bool failed = false;
    for (int i = 0; i < MAX_HELPERS; i++) {
      struct slot *s = &w->shared->slot[i];
      if (!atomic_load(&s->wanted)) break; /* taken in order: no page is touched that is not used */
      if (atomic_load(&s->pid) != 0) continue;
      long pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
      if (pid == 0) helper_main(w, s);
      if (pid > 0) atomic_store(&s->pid, (int)pid);
      else failed = true;
    }
    if (failed) poll(NULL, 0, 20);
    else sleep_on(&w->shared->asked, asked);
  }
}
