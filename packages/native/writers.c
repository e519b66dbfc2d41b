#include "writers.h"
#include "clock.h"
#include "helpers.h"
#include "memory.h"
#include "guests.h"
#include "names.h"
#include "sure.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <string.h>
#include <dirent.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MAX_SEEN = 65536, FIRST_SEEN = 8192, ROUNDS = 30, TASK_ROUNDS = 5 };

/* A process by its number and its folder's inode in /proc, or its starttime. */
static TABLE struct key seen_before[MAX_SEEN];
static uint32_t seen_room, seen_slots;
static const char *witness_name;
static bool saw_witness, voided;

bool writers_room(struct size size) {
  if (seen_room == 0) {
    if (!memory_ready(seen_before, FIRST_SEEN * sizeof *seen_before)) return false;
    seen_room = FIRST_SEEN;
  }
  return names_room(size);
}

static void note_writer(struct table *t, uint32_t disk, int pid, const char *comm) {
  uint32_t vm = t->order->disk[disk].vm;
  for (uint32_t i = 0; i < t->writers; i++)
    if (t->writer[i].pid == pid && t->writer[i].disk == disk) return;
  t->vm[vm].writers++; /* counts even if there is no room to name it */
  if (t->writers == MAX_WRITERS) return;
  struct writer *w = &t->writer[t->writers++];
  w->pid = pid, w->vm = vm, w->disk = disk;
  snprintf(w->comm, sizeof w->comm, "%s", comm[0] ? comm : "_");
  for (char *c = w->comm; *c; c++)
    if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || strchr("._-", *c)))
      *c = '_';
}

/** A process has this disk open: is it a writer? False: somebody may have been missed. */
static bool hit(struct table *t, uint32_t disk, int pid, const char *fdinfo) {
  char text[4096];
  size_t n;
  unsigned flags;
  struct stat_line s;
  bool told = read_text(fdinfo, text, sizeof text, &n) == SEEN && fdinfo_flags(text, n, &flags);
  /* safety: F20a: who had it and is gone may have left it to a child that was not seen */
  if (!told && is_gone(pid)) return voided = true, false;
  /* safety: F20a: open for writing, or it can't be told = a writer; 0 (read only) is none */
  if (told && (flags & 3) == 0) return true;
  if (read_stat(pid, &s) != SEEN) return false;
  struct process *p = table_find(t, pid, s.start);
  if (p && p->newer && p->vm == (int)t->order->disk[disk].vm) return true;
  note_writer(t, disk, pid, s.comm);
  return true;
}
static bool compare(struct table *t, int pid, const char *name, const char *fdinfo) {
  uint32_t disk;
  for (uint32_t at = names_next(name, 0, &disk); at; at = names_next(name, at, &disk))
    if (!hit(t, disk, pid, fdinfo)) return false;
  return true;
}
/** Can a name be that of a file on a storage? Devices are known by their names. */
static bool may_be_file(const char *name) {
  static const char *const others[] = {"/dev/", "/proc/", "/sys/", "/memfd:"};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    if (strncmp(name, others[i], strlen(others[i])) == 0) return false;
  return true;
}
/** An open file of a process or a thread. */
struct place { int tid, fd; char link[64], info[64]; };

/** The same file under another name. False: somebody may have been missed. */
static bool compare_inode(struct table *t, int pid, const struct place *at_file) {
  char text[1024], mounts[40];
  size_t n;
  uint64_t inode, device;
  int64_t mount;
  unsigned flags;
  const char *fdinfo = at_file->info;
  if (read_text(fdinfo, text, sizeof text, &n) != SEEN) return is_closed(at_file->tid, at_file->fd);
  if ((fdinfo_flags(text, n, &flags) && (flags & 3) == 0) || !fdinfo_identity(text, n, &inode, &mount)) return true;
  snprintf(mounts, sizeof mounts, "/proc/%d/mountinfo", pid);
  uint32_t disk;
  for (uint32_t at = names_next_inode(t, inode, 0, &disk); at; at = names_next_inode(t, inode, at, &disk)) {
    /* safety: F20a: a mount that can't be asked for may be that of the disk */
    if (mount_device(mounts, mount, &device) && device != t->disk[disk].identity.device) continue;
    if (!hit(t, disk, pid, fdinfo)) return false;
  }
  return true;
}
static bool look_at_file(struct table *t, int pid, const struct place *at_file) {
  static char name[4200];
  static const char GONE_FILE[] = " (deleted)";
  const char *info = at_file->info;
  ssize_t n = link_of(at_file->tid, at_file->link, name, sizeof name - 1);
  /* safety: F20a: ENOENT is also said where memory is short; the kernel knows whether it was closed meanwhile */
  if (n < 0) return is_closed(at_file->tid, at_file->fd);
  if (name[0] != '/') return true;
  name[n] = 0;
  if (pid == t->self) {
    saw_witness |= strcmp(name, witness_name) == 0;
    return true;
  }
  if (!compare(t, pid, name, info) || (may_be_file(name) && !compare_inode(t, pid, at_file))) return false;
  size_t cut = sizeof GONE_FILE - 1;
  if ((size_t)n <= cut || strcmp(name + (size_t)n - cut, GONE_FILE) != 0) return true;
  name[(size_t)n - cut] = 0;
  return compare(t, pid, name, info);
}
/** The files of one table: of a process (tid 0) or a thread. SEEN, GONE (ENOENT, ESRCH), NOT_SEEN. */
static enum seen look_at_files(struct table *t, int pid, int tid) {
  static struct numbers files;
  struct place one = {.tid = tid > 0 ? tid : pid};
  char directory[48], path[56];
  if (tid > 0) snprintf(directory, sizeof directory, "/proc/%d/task/%d", pid, tid);
  else snprintf(directory, sizeof directory, "/proc/%d", pid);
  snprintf(path, sizeof path, "%s/fd", directory);
  if (numbers_open(&files, path) != SEEN) return errno == ENOENT || errno == ESRCH ? GONE : NOT_SEEN;
  enum seen seen;
  while ((seen = numbers_next(&files, &one.fd)) == SEEN) {
    snprintf(one.link, sizeof one.link, "%s/fd/%d", directory, one.fd);
    snprintf(one.info, sizeof one.info, "%s/fdinfo/%d", directory, one.fd);
    if (!look_at_file(t, pid, &one)) {
      numbers_close(&files);
      errno = EIO;
      return NOT_SEEN;
    }
  }
  int why = errno;
  numbers_close(&files);
  if (seen == GONE) return SEEN;
  return why == ENOENT || why == ESRCH ? GONE : (errno = why, NOT_SEEN);
}

/** Does the thread share the leader's files? An ended leader has none. */
static bool shares_files(int pid, int tid) {
  return tid == pid || syscall(SYS_kcmp, pid, tid, KCMP_FILES, 0, 0) == 0;
}
/** Files of an ended main thread belong to root alone: root of a user namespace can't list them. None are left. */
static bool harmless(int pid, int tid, int why) {
  struct stat_line s;
  if (why != EACCES || tid != pid) return false;
  enum seen seen = read_stat(pid, &s);
  return seen == GONE || (seen == SEEN && (s.state == 'Z' || s.state == 'X'));
}
/** Looks at the threads that have files of their own: all, if the main thread has ended or is about to. */
static bool look_at_tasks(struct table *t, int pid, bool all) {
  static struct numbers tasks;
  char path[40];
  int tid;
  enum seen seen = NOT_SEEN;
  for (int round = 0; round < TASK_ROUNDS; round++) {
    bool lost = false;
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    if (numbers_open(&tasks, path) != SEEN) return is_gone(pid);
    while ((seen = numbers_next(&tasks, &tid)) == SEEN) {
      if (!all && shares_files(pid, tid)) continue;
      enum seen files = look_at_files(t, pid, tid);
      if (files == NOT_SEEN && harmless(pid, tid, errno)) continue;
      if (files == NOT_SEEN) break;
      lost |= files == GONE;
    }
    numbers_close(&tasks);
    if (is_gone(pid)) return true; /* who it left something to is new in the next round */
    if (seen != GONE) return false;
    if (!lost) return true;
  }
  /* safety: F20a: a thread that has gone may have handed on what it had to one that was not seen */
  return false;
}
static bool look_at_process(struct table *t, int pid, const struct stat_line *before) {
  struct stat_line after;
  enum seen files = is_ending(before) ? SEEN : look_at_files(t, pid, 0);
  int why = errno;
  if (files == SEEN && !is_ending(before) && before->threads > 1 && !look_at_tasks(t, pid, false)) return false;
  enum seen seen = read_stat(pid, &after);
  if (seen == GONE || (seen == SEEN && after.start != before->start)) return true;
  if (seen == NOT_SEEN) return false;
  /* safety: F20a: where the main thread ends it has no files any more, the other threads have; PF_EXITING
     is set before it loses them, so who doesn't bear it now was still whole when its files were read */
  if (is_ending(&after)) return look_at_tasks(t, pid, true);
  /* safety: F20a: whoever still runs and can't be looked into may be a writer */
  errno = why;
  return files == SEEN;
}

/** Its place; NULL: full. It is empty (pid 0) if the process was not seen before. */
static struct key *find_seen(struct key key) {
  uint32_t at = (uint32_t)key.pid * 2654435761u & (seen_room - 1);
  for (uint32_t i = 0; i < seen_room; i++, at = (at + 1) & (seen_room - 1))
    if (seen_before[at].pid == 0 || (seen_before[at].pid == key.pid && seen_before[at].start == key.start))
      return &seen_before[at];
  return NULL; /* never comes to an end, so the look is void */
}
static bool put_seen(struct key key, bool only_ask) {
  struct key *place = find_seen(key);
  if (place && place->pid != 0) return false;
  if (place && !only_ask) *place = key, seen_slots++;
  return true;
}
/**
 * The kernel makes a folder's inode for one process and numbers it anew, so with the same number it is the same
 * process, and its stat need not be read again. Where memory is short it says 1, or forgets inodes as soon as it
 * has made them, so that every process would seem new: then the starttime tells.
 */
static bool is_told_by_inode(const struct numbers *n) { return n->inode > 1 && !spare_used(); }
static struct key key_of(const struct numbers *n, int pid, uint64_t start) {
  return (struct key){pid, is_told_by_inode(n) ? n->inode : start | UINT64_C(1) << 63};
}
/** A host with very many processes needs more room; the look begins anew with it. */
static bool more_seen(void) {
  if (seen_slots < seen_room - seen_room / 4) return true;
  if (seen_room == MAX_SEEN || !memory_ready(seen_before, sizeof seen_before)) return false;
  seen_room = MAX_SEEN;
  return false;
}
/** One round over all processes; false: void. */
static bool look_at_all(struct table *t, bool *somebody_new) {
  static struct numbers all;
  struct stat_line s;
  int pid;
  bool saw_one = false;
  enum seen seen;
  *somebody_new = false;
  if (numbers_open(&all, "/proc") != SEEN) return false;
  while ((seen = numbers_next(&all, &pid)) == SEEN) {
    saw_one |= pid == 1;
    if (is_told_by_inode(&all) && !put_seen(key_of(&all, pid, 0), true)) continue;
    enum seen one = read_stat(pid, &s);
    if (one == GONE) continue;
    if (one == NOT_SEEN) break;
    /* Helpers of this program come and go; they have nothing of the VMs but what they flush. */
    if (s.flags & PROC_KTHREAD || helpers_own(pid, s.group) || guests_own(s.parent)) continue;
    if (!put_seen(key_of(&all, pid, s.start), false)) continue;
    if (!more_seen()) break;
    *somebody_new = true;
    if (clock_ms() >= t->stop_at) break; /* no time is left: void */
    if (!look_at_process(t, pid, &s)) break;
  }
  numbers_close(&all);
  /* safety: F20a: a list that is not whole has not shown everybody */
  return seen == GONE && saw_one;
}

static bool look_at_loop(struct table *t, const char *device) {
  static char path[320], name[4200];
  size_t n;
  snprintf(path, sizeof path, "/sys/block/%s/loop/backing_file", device);
  if (read_text(path, name, sizeof name - 1, &n) != SEEN) return errno == ENOENT || errno == ENXIO || errno == ENODEV;
  if (n > 0 && name[n - 1] == '\n') n--;
  name[n] = 0;
  for (int i = 0; i < 2; i++) {
    uint32_t disk;
    for (uint32_t at = names_next(name, 0, &disk); at; at = names_next(name, at, &disk)) note_writer(t, disk, 0, device);
    if (n <= 10 || strcmp(name + n - 10, " (deleted)") != 0) break;
    name[n - 10] = 0;
  }
  return true;
}
/** An image behind a loop device is written by the kernel, which has no file table. */
static bool look_at_loops(struct table *t) {
  static char buffer[32768];
  int directory = sure_open("/sys/block", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return errno == ENOENT;
  long n;
  bool ok = true;
  while ((n = syscall(SYS_getdents64, directory, buffer, sizeof buffer)) > 0)
    for (long at = 0; at < n;) {
      const struct dirent64 *e = (const struct dirent64 *)(buffer + at);
      at += e->d_reclen;
      if (strncmp(e->d_name, "loop", 4) == 0) ok &= look_at_loop(t, e->d_name);
    }
  close(directory);
  return ok && n == 0;
}

/** What an earlier, void look at these VMs has noted. */
static void forget_writers(struct table *t) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < t->writers; i++)
    if (!t->vm[t->writer[i].vm].scanning) t->writer[kept++] = t->writer[i];
  t->writers = kept;
  for (uint32_t v = 0; v < t->order->vms; v++)
    if (t->vm[v].scanning) t->vm[v].writers = 0;
}

/* Open files of every process, also of those that are born meanwhile: who has a file and ends may have left
   it to a child. Over when a look shows nobody new. */
bool writers_scan(struct table *t, const char *witness) {
  bool somebody_new = true;
  memset(seen_before, 0, seen_room * sizeof *seen_before);
  seen_slots = 0, saw_witness = voided = false, witness_name = witness;
  names_collect(t);
  forget_writers(t);
  for (int round = 0; somebody_new; round++) {
    /* safety: F20a: if there is always somebody new, not everybody was seen */
    if (round == ROUNDS || !look_at_all(t, &somebody_new)) return false;
  }
  /* safety: F20a: a scan that doesn't even see our own open file has seen nothing */
  return saw_witness && !voided && look_at_loops(t);
}
