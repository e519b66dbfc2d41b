#include "procfs.h"
#include "sure.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/** Decimal number at *at, after blanks; moves on. */
static bool take(const char **at, const char *end, int64_t *out) {
  while (*at < end && **at == ' ') ++*at;
  bool minus = *at < end && **at == '-';
  if (minus) ++*at;
  const char *begin = *at;
  uint64_t n = 0;
  while (*at < end && **at >= '0' && **at <= '9') n = n * 10 + (uint64_t)(*(*at)++ - '0');
  *out = minus ? -(int64_t)n : (int64_t)n;
  return *at > begin && *at - begin < 21; /* a limit without a limit has 20 digits */
}

bool stat_parse(const char *text, size_t length, struct stat_line *out) {
  const char *open = memchr(text, '(', length), *close = memrchr(text, ')', length), *end = text + length;
  /* A name may hold blanks and brackets: the last bracket ends it. */
  if (!open || !close || close < open || end - close < 4 || close[1] != ' ') return false;
  size_t n = (size_t)(close - open - 1);
  if (n >= sizeof out->comm) n = sizeof out->comm - 1;
  memcpy(out->comm, open + 1, n);
  out->comm[n] = 0;
  out->state = close[2];
  const char *at = close + 3;
  int64_t f[47] = {0};
  int i = 1;
  for (; i < 20; i++)
    if (!take(&at, end, &f[i])) return false;
  /* A number that the end of the text cuts is no number. */
  if (at == end || (*at != ' ' && *at != '\n')) return false;
  while (i < 47 && take(&at, end, &f[i])) i++;
  out->parent = (int)f[1], out->group = (int)f[2], out->flags = (unsigned)f[6];
  out->threads = f[17], out->start = (uint64_t)f[19];
  out->arguments = i == 47 && f[46] > f[45] ? (uint64_t)(f[46] - f[45]) : 0;
  return true;
}

bool fdinfo_flags(const char *text, size_t length, unsigned *flags) {
  const char *at = text, *end = text + length;
  while (at < end) {
    const char *line_end = memchr(at, '\n', (size_t)(end - at));
    if (!line_end) return false;
    if (line_end - at > 6 && memcmp(at, "flags:", 6) == 0) {
      unsigned n = 0;
      const char *c = at + 6;
      while (c < line_end && (*c == ' ' || *c == '\t')) c++;
      if (c == line_end) return false;
      for (; c < line_end; c++) {
        if (*c < '0' || *c > '7') return false;
        n = n << 3 | (unsigned)(*c - '0');
      }
      *flags = n;
      return true;
    }
    at = line_end + 1;
  }
  return false;
}

/** The queue of unsent data, "hex:": true only if that is surely nothing. */
static bool has_nothing_to_send(const char *queue, size_t length) {
  size_t n = 0;
  while (n < length && queue[n] == '0') n++;
  return n > 0 && n < length && queue[n] == ':';
}
bool tcp_line_drained(const char *line, size_t length) {
  const char *f[10] = {0};
  size_t n[10] = {0};
  int count = 0;
  for (size_t i = 0; i < length && count < 10;) {
    while (i < length && line[i] == ' ') i++;
    size_t begin = i;
    while (i < length && line[i] != ' ') i++;
    if (i > begin) f[count] = line + begin, n[count++] = i - begin;
  }
  /* safety: F21a: a line that can't be understood may be such a socket */
  if (count < 10 || n[3] != 2) return length == 0;
  if (!(n[9] == 1 && *f[9] == '0')) return true; /* a process still owns it */
  if (f[3][0] != '0') return false;
  switch (f[3][1]) {
    case '5': case '6': case 'A': return true; /* FIN_WAIT2, TIME_WAIT, LISTEN: nothing to send any more */
    /* safety: F21a: FIN_WAIT1, LAST_ACK, CLOSING: closed by its process, and not all of it has been acknowledged */
    case '4': case '9': case 'B': return false;
    /* Open, and nobody's: nobody has accepted it yet, and so nobody has written to it. What was written to is not that. */
    default: return has_nothing_to_send(f[4], n[4]);
  }
}

enum seen read_text(const char *path, char *buffer, size_t room, size_t *length) {
  int file = sure_open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  *length = 0;
  if (file < 0) return NOT_SEEN;
  while (*length < room) {
    ssize_t n = sure_read(file, buffer + *length, room - *length);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      int why = errno;
      close(file);
      errno = why;
      return NOT_SEEN;
    }
    if (n == 0) break;
    *length += (size_t)n;
  }
  close(file);
  return SEEN;
}

/* safety: F21: only the kernel's ESRCH means "gone"; kill(2) needs no memory, an open may fail with ENOMEM */
bool is_gone(int pid) { return kill(pid, 0) != 0 && errno == ESRCH; }

/**
 * /proc says that it is not there, and the process is: that is how it says that memory is short. It may be true all
 * the same, so little is given for it; who calls asks the kernel in another way then.
 */
static bool is_short(int pid, int tries) {
  if (errno == ENOENT && spare_exists()) return tries < 3 && !is_gone(pid) && spare_help(ENOMEM, 0);
  return spare_help(errno, tries);
}
static int open_of(int pid, const char *path, int flags) {
  int file;
  for (int tries = 0; (file = open(path, flags)) < 0 && is_short(pid, tries); tries++) continue;
  return file;
}
ssize_t link_of(int pid, const char *path, char *to, size_t room) {
  ssize_t n;
  for (int tries = 0; (n = readlink(path, to, room)) < 0 && is_short(pid, tries); tries++) continue;
  return n;
}

bool is_gone_thread(int pid, int tid) { return syscall(SYS_tgkill, pid, tid, 0) != 0 && errno == ESRCH; }
bool is_closed(int tid, int file) {
  /* Compared with itself. A kernel that can't do that is left with what /proc says. */
  return syscall(SYS_kcmp, tid, tid, KCMP_FILE, file, file) != 0 && (errno == EBADF || errno == ESRCH || errno == ENOSYS);
}

enum seen read_stat(int pid, struct stat_line *out) {
  char path[40], text[1024];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  int file = open_of(pid, path, O_RDONLY | O_CLOEXEC);
  /* One read: the kernel writes the whole line at once, and the parser sees if it is cut. */
  ssize_t n = file < 0 ? -1 : sure_read(file, text, sizeof text);
  if (file >= 0) close(file);
  if (n > 0 && stat_parse(text, (size_t)n, out)) return SEEN;
  return is_gone(pid) ? GONE : NOT_SEEN;
}

enum seen read_cmdline(int pid, int tid, char *buffer, size_t room, size_t *length) {
  char path[64];
  if (tid > 0) snprintf(path, sizeof path, "/proc/%d/task/%d/cmdline", pid, tid);
  else snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
  int file = open_of(tid > 0 ? tid : pid, path, O_RDONLY | O_CLOEXEC);
  /* One read: less than was asked for is the end, also where the kernel could not read on. */
  ssize_t n = file < 0 ? -1 : sure_read(file, buffer, room);
  int why = errno;
  if (file >= 0) close(file);
  *length = n > 0 ? (size_t)n : 0;
  if (n >= 0) return SEEN;
  /* safety: F21: only the kernel's ESRCH for the thread or the process itself means "gone" */
  if (tid > 0 && (why == ENOENT || why == ESRCH)) return is_gone_thread(pid, tid) ? GONE : NOT_SEEN;
  return is_gone(pid) ? GONE : NOT_SEEN;
}

static bool has_one_task(int pid) {
  static struct numbers tasks;
  char path[40];
  int tid, count = 0;
  enum seen seen;
  snprintf(path, sizeof path, "/proc/%d/task", pid);
  if (numbers_open(&tasks, path) != SEEN) return false;
  while ((seen = numbers_next(&tasks, &tid)) == SEEN) count++;
  numbers_close(&tasks);
  return seen == GONE && count == 1;
}

bool is_dead(int pid, uint64_t start) {
  struct stat_line s;
  enum seen seen = read_stat(pid, &s);
  if (seen != SEEN) return seen == GONE;
  /* safety: a starttime that changed is another process: neither killed nor taken for the one we know */
  if (s.start != start) return true;
  if (s.state != 'Z' && s.state != 'X') return false;
  /* safety: F21: a zombie leader with a live thread still writes; exactly one task, or it lives */
  return s.threads <= 1 && has_one_task(pid);
}

enum seen numbers_open(struct numbers *n, const char *path) {
  n->at = n->filled = 0;
  int pid = strncmp(path, "/proc/", 6) == 0 ? atoi(path + 6) : 0;
  n->directory = open_of(pid > 0 ? pid : getpid(), path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return n->directory < 0 ? NOT_SEEN : SEEN;
}
void numbers_close(struct numbers *n) {
  if (n->directory >= 0) close(n->directory);
  n->directory = -1;
}

struct entry { uint64_t inode; int64_t offset; unsigned short length; unsigned char type; char name[]; };

/* No readdir: it takes memory. */
enum seen numbers_next(struct numbers *n, int *number) {
  for (;;) {
    if (n->at >= n->filled) {
      n->at = 0;
      n->filled = syscall(SYS_getdents64, n->directory, n->buffer, sizeof n->buffer);
      if (n->filled < 0) return n->filled = 0, NOT_SEEN;
      if (n->filled == 0) return GONE;
    }
    const struct entry *e = (const struct entry *)(n->buffer + n->at);
    n->at += e->length;
    char *end;
    if (e->name[0] < '0' || e->name[0] > '9') continue;
    long v = strtol(e->name, &end, 10);
    if (*end != 0 || v > INT32_MAX) continue;
    *number = (int)v, n->inode = e->inode;
    return SEEN;
  }
}
