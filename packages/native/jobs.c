#include "slots.h"
#include "barrier.h"
#include "procfs.h"
#include "sure.h"
#include "talk.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

static void exec_virsh(const struct workshop *w, struct slot *s) {
  /* safety: I3: virsh takes what is no known number for a name; no name can have a line feed in it */
  char id[32];
  snprintf(id, sizeof id, "\n%" PRId64, s->number);
  bool ask = s->job == JOB_ASK;
  if (ask) dup2(w->ask_file[s->ask][0], 1), dup2(w->ask_file[s->ask][1], 2);
  char *const question[] = {"virsh", "-c", (char *)w->options->uri, w->shared->words[s->ask], NULL};
  char *const destroy[] = {"virsh", "-q", "-c", (char *)w->options->uri, "destroy", id, NULL};
  signal(SIGPIPE, SIG_DFL), signal(SIGHUP, SIG_DFL);
  execvp(w->options->virsh, ask ? question : destroy);
  _exit(127);
}
static int run_virsh(const struct workshop *w, struct slot *s) {
  int status;
  pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    exec_virsh(w, s);
  }
  /* A program can't begin without memory, and this helper is needed for a flush. */
  if (child < 0 && errno == ENOMEM) return NO_MEMORY;
  /* Where nothing can be forked any more, this helper becomes virsh itself; a spare one replaces it. */
  if (child < 0) exec_virsh(w, s);
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return 126;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 125;
}

/** Over this helper's own connection; where that can't be, by virsh. */
static int tell_libvirt(const struct workshop *w, struct slot *s) {
  enum talked talked = s->job == JOB_ASK ? talk_ask(w, s) : talk_destroy(w, s);
  s->connected = talk_connected();
  if (talked != TALK_NOT) return talked == TALK_DONE ? 0 : 1;
  /* What was said until then is forgotten: one answer is of one way of asking. */
  for (int i = 0; s->job == JOB_ASK && i < 2; i++)
    if (ftruncate(w->ask_file[s->ask][i], 0) != 0 || lseek(w->ask_file[s->ask][i], 0, SEEK_SET) != 0) return 126;
  return run_virsh(w, s);
}

/** The name that /proc/PID/fd shows for this file, and which file it is. */
static bool name_it(int file, struct slot *s, struct stat *about) {
  char own[40];
  snprintf(own, sizeof own, "/proc/self/fd/%d", file);
  ssize_t n = sure_own_link(own, s->text, sizeof s->text - 1);
  s->text[n > 0 ? n : 0] = 0;
  if (n <= 0 || (size_t)n >= sizeof s->text - 1 || fstat(file, about) != 0) return false;
  if (S_ISREG(about->st_mode)) same_identify(file, &s->identity);
  return true;
}
static int name(const struct workshop *w, struct slot *s) {
  struct stat about;
  int file = sure_open(disk_path(w->order, s->item), O_PATH | O_CLOEXEC);
  if (file < 0) return 1;
  bool ok = name_it(file, s, &about);
  close(file);
  return ok ? 0 : 1;
}
/** NFS: a write that went around the page cache may still be on its way when its process is gone. */
static bool await_direct(int file) {
  struct statfs about;
  char one;
  if (fstatfs(file, &about) != 0) return false;
  /* safety: F21a: there fdatasync does not wait for those, but a read through the page cache does. Nowhere else is
     anything read: it would leave pages in the cache of a disk that another host goes on with */
  return about.f_type != NFS_SUPER_MAGIC || pread(file, &one, 1, 0) >= 0;
}
/** A dead VM's pages reach the disk. */
static int flush_once(const struct workshop *w, struct slot *s) {
  struct stat about;
  int file = sure_open(disk_path(w->order, s->item), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (file < 0) return 1;
  errno = 0;
  /* safety: F21a: BLKFLSBUF says nothing of errors, fdatasync does; only what succeeded is a drain */
  bool ok = name_it(file, s, &about) && await_direct(file) && fdatasync(file) == 0;
  if (ok && S_ISBLK(about.st_mode)) ok = ioctl(file, BLKFLSBUF, 0) == 0;
  else if (s->job == JOB_FLUSH_BLOCK) ok = false;
  int why = ok ? 0 : errno;
  close(file);
  errno = why;
  return ok ? 0 : 1;
}
/* safety: F21a: again from the beginning, so that no error is forgotten by having been told once: what was not
   written for lack of memory is still there to be written */
static int flush(const struct workshop *w, struct slot *s) {
  for (int tries = 0; flush_once(w, s) != 0; tries++)
    if (!spare_help(errno, tries)) return errno == ENOMEM ? NO_MEMORY : 1;
  return 0;
}
static int read_host(const struct workshop *w, struct slot *s) {
  char path[2100];
  size_t n;
  snprintf(path, sizeof path, "%s/host", w->options->state);
  if (read_text(path, s->text, sizeof s->text - 1, &n) != SEEN) return 1;
  s->text[n] = 0;
  return 0;
}
int do_job(const struct workshop *w, struct slot *s) {
  switch (s->job) {
    case JOB_ASK: case JOB_DESTROY: return tell_libvirt(w, s);
    case JOB_READY: return talk_prepare(w), s->connected = talk_connected(), talk_hangs() ? 1 : 0;
    case JOB_NAME: return name(w, s);
    case JOB_FLUSH_FILE: case JOB_FLUSH_BLOCK: return flush(w, s);
    case JOB_BARRIER: return chdir(w->options->run) == 0 && barrier_disk(w->order, w->options->state, w->main_pid) ? 0 : 1;
    case JOB_HOST: return read_host(w, s);
    default: return 1;
  }
}
