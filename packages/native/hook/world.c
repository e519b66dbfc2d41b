#include "world.h"
#include "list.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int read_all(int fd, size_t limit, struct file_text *out) {
  size_t room = 64 * 1024;
  out->length = 0;
  out->text = malloc(room + 1);
  if (!out->text) return ENOMEM;
  for (;;) {
    if (out->length == room) {
      if (room > limit) return EFBIG;
      char *more = realloc(out->text, (room *= 2) + 1);
      if (!more) return ENOMEM;
      out->text = more;
    }
    ssize_t got = read(fd, out->text + out->length, room - out->length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno;
    if (got == 0) return out->length > limit ? EFBIG : 0;
    out->length += (size_t)got;
  }
}

int read_file(const char *path, size_t limit, struct file_text *out) {
  // O_NONBLOCK: a fifo in the place of a record must not hold the host up.
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return errno;
  struct stat what;
  int error = fstat(fd, &what) < 0 ? errno : S_ISREG(what.st_mode) ? 0 : EINVAL;
  if (!error) error = read_all(fd, limit, out);
  close(fd);
  return error;
}

static void write_whole(int fd, const void *bytes, size_t length) {
  for (const char *at = bytes; length > 0;) {
    ssize_t put = write(fd, at, length);
    if (put < 0) _exit(1);
    at += put, length -= (size_t)put;
  }
}

static _Noreturn void read_for_another(const char *path, size_t limit, int to) {
  // libvirt waits until nobody holds these any more: without this it would wait for a disk that hangs.
  for (int fd = 0; fd < 3; fd++) close(fd);
  struct file_text file = {NULL, 0};
  int error = read_file(path, limit, &file);
  write_whole(to, &error, sizeof error);
  if (!error) write_whole(to, file.text, file.length);
  write_whole(to, "", 1); // the end: what comes without it was cut off
  _exit(0);
}

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int read_file_apart(const char *path, size_t limit, int limit_ms, struct file_text *out) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return errno;
  pid_t child = fork();
  if (child < 0) return errno;
  if (child == 0) read_for_another(path, limit, ends[1]);
  close(ends[1]);
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  size_t room = 64 * 1024, length = 0;
  char *text = malloc(room);
  for (int64_t until = now_ms() + limit_ms; text;) {
    int64_t left = until - now_ms();
    struct pollfd wait = {.fd = ends[0], .events = POLLIN};
    // safety: F34: a disk that does not answer in time is not a disk without a list
    if (left <= 0 || poll(&wait, 1, (int)left) <= 0) return ETIMEDOUT;
    if (length == room && !(text = realloc(text, room *= 2))) break;
    ssize_t got = read(ends[0], text + length, room - length);
    if (got < 0 && errno == EAGAIN) continue;
    if (got <= 0) break;
    length += (size_t)got;
  }
  int error;
  if (!text || length < sizeof error + 1 || text[length - 1] != '\0') return EIO;
  memcpy(&error, text, sizeof error);
  *out = (struct file_text){text + sizeof error, length - sizeof error - 1};
  return error;
}

int read_number_file(const char *dir, const char *name, int64_t *out) {
  char path[4096 + 64];
  struct file_text file;
  if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path) return ENAMETOOLONG;
  int error = read_file(path, 64, &file);
  if (error == ENOENT) return *out = -1, 0;
  if (error) return error;
  if (file.length == 0 || file.text[file.length - 1] != '\n') return EBADMSG;
  file.text[file.length - 1] = '\0';
  return read_number(file.text, out) ? 0 : EBADMSG;
}

bool process_lives(int64_t pid, int64_t start_time) {
  char path[64];
  struct file_text file;
  snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
  if (read_file(path, 64 * 1024, &file) != 0) return false;
  file.text[file.length] = '\0';
  char *at = strrchr(file.text, ')');
  if (!at || at[1] != ' ' || at[2] == 'Z' || at[2] == 'X') return false;
  // Field 22; the state, which is field 3, begins at at + 2.
  at += 2;
  for (int field = 3; field < 22 && at; field++) at = strchr(at, ' ') ? strchr(at, ' ') + 1 : NULL;
  return at && strtoll(at, NULL, 10) == start_time;
}

/** Device number of a block device below /dev; 0: none. Asks devtmpfs, never the device. */
static uint64_t device_of(const char *path) {
  int dev = open("/dev", O_PATH | O_DIRECTORY | O_CLOEXEC);
  struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS};
  int fd = dev < 0 ? -1 : (int)syscall(SYS_openat2, dev, path + strlen("/dev/"), &how, sizeof how);
  struct stat what;
  bool block = fd >= 0 && fstat(fd, &what) == 0 && S_ISBLK(what.st_mode);
  if (fd >= 0) close(fd);
  if (dev >= 0) close(dev);
  return block ? what.st_rdev : 0;
}

bool same_block_device(const char *path, struct protected_disk *disk) {
  uint64_t device = device_of(path);
  if (device == 0) return false;
  if (disk->device == 0) disk->device = device_of(disk->source);
  return device == disk->device;
}
