// Faults for the dynamic build by LD_PRELOAD. What fails, where, how, and from when on:
//   INJECT_CALL  open | pread | connect | readlink | fdatasync | fsync | getdents | clock | madvise | pidfd_open | cut (a read gets
//                INJECT_DO bytes and no more, as where memory is short) | readerror
//   INJECT_PATH  the path begins so (calls on a descriptor: the path of what it shows)
//   INJECT_EXACT=1  the path is exactly that
//   INJECT_END   the path ends so
//   INJECT_DO    a number (errno), hang, empty (getdents: end of the list), gate (touch $INJECT_DIR/at,
//                then wait for $INJECT_DIR/go, once), slow-first (success after 0.6 s; calls begun meanwhile: EIO after 0.9 s)
//   INJECT_NTH   only this call of those that fit, counted from 1, in each process
//   INJECT_FLUSH_MS  a flush takes so long
//   INJECT_FLUSHED  a file that is made at the first flush
//   INJECT_WHEN  only while this file is there
//   INJECT_FULL  while this file is there, no process can be made
//   INJECT_NFS   a path: what lies there is said to be on NFS
//   INJECT_LOG   a line for each flush of INJECT_PATH and each scan (a look at the witness)
#define _GNU_SOURCE 1
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#define REAL(name, type) ((type)dlsym(RTLD_NEXT, name))

static int there(const char *path) { struct stat s; return stat(path, &s) == 0; }
static void nap(int ms) { usleep((useconds_t)ms * 1000); }
static void note(const char *word) {
  const char *log = getenv("INJECT_LOG");
  int f = log ? (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
  if (f >= 0 && write(f, word, strlen(word)) >= 0) close(f);
}
static int fits(const char *call, const char *path) {
  const char *want = getenv("INJECT_CALL"), *where = getenv("INJECT_PATH"), *when = getenv("INJECT_WHEN");
  if (!want || strcmp(want, call) != 0 || (when && !there(when))) return 0;
  const char *tail = getenv("INJECT_END");
  if (tail) return path && strlen(path) >= strlen(tail) && strcmp(path + strlen(path) - strlen(tail), tail) == 0;
  if (!where) return 1;
  return path && (getenv("INJECT_EXACT") ? strcmp(path, where) == 0 : strncmp(path, where, strlen(where)) == 0);
}
static int gate(void) {
  static int passed;
  char at[4200], go[4200];
  const char *d = getenv("INJECT_DIR");
  if (passed || !d) return 0;
  passed = 1;
  snprintf(at, sizeof at, "%s/at", d), snprintf(go, sizeof go, "%s/go", d);
  int f = (int)syscall(SYS_openat, AT_FDCWD, at, O_WRONLY | O_CREAT, 0600);
  if (f >= 0) close(f);
  while (!there(go)) nap(5);
  return 0;
}
/** 1: the call fails with errno. */
static int fault(const char *call, const char *path) {
  static int count;
  const char *nth = getenv("INJECT_NTH");
  if (!fits(call, path) || (nth && ++count != atoi(nth))) return 0;
  const char *what = getenv("INJECT_DO"), *d = getenv("INJECT_DIR");
  char first[4200];
  if (strcmp(what, "hang") == 0) for (;;) nap(1000);
  if (strcmp(what, "gate") == 0) return gate();
  if (strcmp(what, "slow-first") == 0) {
    snprintf(first, sizeof first, "%s/first", d);
    char over[4200];
    snprintf(over, sizeof over, "%s/over", d);
    if (mkdir(first, 0700) == 0) return nap(600), mkdir(over, 0700), 0;
    if (there(over)) return 0;
    nap(900), errno = EIO;
    return 1;
  }
  if (what[0] < '0' || what[0] > '9') return 0;
  errno = atoi(what);
  return 1;
}
static const char *path_of(int fd) {
  static char name[4200];
  char link[40];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  long n = syscall(SYS_readlinkat, AT_FDCWD, link, name, sizeof name - 1);
  name[n > 0 ? n : 0] = 0;
  return name;
}
int open(const char *path, int flags, ...) {
  va_list v;
  va_start(v, flags);
  int mode = va_arg(v, int);
  va_end(v);
  if (fault("open", path)) return -1;
  return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}
ssize_t readlink(const char *path, char *to, size_t room) {
  if (fault("readlink", path)) return -1;
  ssize_t n = syscall(SYS_readlinkat, AT_FDCWD, path, to, room);
  if (n > 8 && memcmp(to + n - 8, "/witness", 8) == 0 && strncmp(path, "/proc/self", 10) != 0) note("scan\n");
  return n;
}
int fdatasync(int fd) {
  const char *path = path_of(fd), *flushed = getenv("INJECT_FLUSHED");
  int mark = flushed ? (int)syscall(SYS_openat, AT_FDCWD, flushed, O_WRONLY | O_CREAT, 0600) : -1;
  if (mark >= 0) close(mark);
  if (getenv("INJECT_FLUSH_MS")) nap(atoi(getenv("INJECT_FLUSH_MS")));
  if (fault("fdatasync", path)) return -1;
  if (getenv("INJECT_PATH") && strncmp(path, getenv("INJECT_PATH"), strlen(getenv("INJECT_PATH"))) == 0) note("flush\n");
  return (int)syscall(SYS_fdatasync, fd);
}
int fsync(int fd) {
  if (fault("fsync", path_of(fd))) return -1;
  return (int)syscall(SYS_fsync, fd);
}
ssize_t read(int fd, void *to, size_t room) {
  const char *call = getenv("INJECT_CALL");
  if (call && strcmp(call, "readerror") == 0 && fault("readerror", path_of(fd))) return -1;
  size_t most = call && strcmp(call, "cut") == 0 && fits("cut", path_of(fd)) ? (size_t)atoi(getenv("INJECT_DO")) : room;
  return syscall(SYS_read, fd, to, room < most ? room : most);
}
ssize_t pread(int fd, void *to, size_t room, off_t at) {
  if (fault("pread", path_of(fd))) return -1;
  if (getenv("INJECT_NFS") && strcmp(path_of(fd), getenv("INJECT_NFS")) == 0) note("read\n");
  return syscall(SYS_pread64, fd, to, room, at);
}
int fstatfs(int fd, struct statfs *about) {
  const char *nfs = getenv("INJECT_NFS");
  int result = (int)syscall(SYS_fstatfs, fd, about);
  if (result == 0 && nfs && strcmp(path_of(fd), nfs) == 0) about->f_type = 0x6969;
  return result;
}
int connect(int fd, __CONST_SOCKADDR_ARG address, socklen_t length) {
  if (fault("connect", NULL)) return -1;
  return (int)REAL("syscall", long (*)(long, ...))(SYS_connect, fd, address, length);
}
static int is_full(void) {
  const char *full = getenv("INJECT_FULL");
  return full && there(full) ? errno = EAGAIN, 1 : 0;
}
pid_t fork(void) { return is_full() ? -1 : REAL("fork", pid_t (*)(void))(); }
int madvise(void *at, size_t length, int advice) {
  if (fault("madvise", NULL)) return -1;
  return (int)REAL("syscall", long (*)(long, ...))(SYS_madvise, at, length, advice);
}
int clock_gettime(clockid_t c, struct timespec *t) {
  if (fault("clock", NULL)) return -1;
  return (int)syscall(SYS_clock_gettime, c, t);
}
long syscall(long number, ...) {
  va_list v;
  va_start(v, number);
  long a[6];
  for (int i = 0; i < 6; i++) a[i] = va_arg(v, long);
  va_end(v);
  long (*real)(long, ...) = REAL("syscall", long (*)(long, ...));
  if (number == SYS_clone && is_full()) return -1;
  if (number == SYS_pidfd_open && fault("pidfd_open", NULL)) return -1;
  if (number == SYS_getdents64) {
    static int busy;
    if (!busy) {
      busy = 1;
      const char *path = path_of((int)a[0]), *what = getenv("INJECT_DO");
      int hit = fits("getdents", path), failed = hit && fault("getdents", path);
      busy = 0;
      if (failed) return -1;
      if (hit && strcmp(what, "empty") == 0) return 0;
    }
  }
  return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
