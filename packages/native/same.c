#include "same.h"
#include "number.h"
#include "procfs.h"
#include "sure.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool number_at(const char *at, const char *end, int64_t *out) {
  const char *digits = at;
  while (at < end && *at >= '0' && *at <= '9') at++;
  return number_parse(digits, (size_t)(at - digits), out);
}
static bool field(const char *text, size_t length, const char *name, int64_t *out) {
  const char *at = text, *end = text + length, *feed;
  size_t n = strlen(name);
  for (; (feed = memchr(at, '\n', (size_t)(end - at))); at = feed + 1) {
    if ((size_t)(feed - at) <= n || memcmp(at, name, n) != 0) continue;
    for (at += n; at < feed && (*at == '\t' || *at == ' ');) at++;
    return number_at(at, feed, out);
  }
  return false;
}
bool fdinfo_identity(const char *text, size_t length, uint64_t *inode, int64_t *mount) {
  int64_t number;
  if (!field(text, length, "ino:", &number) || !field(text, length, "mnt_id:", mount)) return false;
  *inode = (uint64_t)number;
  return number > 0;
}
bool mountinfo_line(const char *line, size_t length, int64_t *mount, uint64_t *device) {
  const char *end = line + length, *at;
  int64_t major, minor;
  if (!number_at(line, end, mount)) return false;
  if (!(at = memchr(line, ' ', length)) || !(at = memchr(at + 1, ' ', (size_t)(end - at - 1)))) return false;
  if (!number_at(++at, end, &major) || !(at = memchr(at, ':', (size_t)(end - at)))) return false;
  if (!number_at(at + 1, end, &minor)) return false;
  *device = (uint64_t)major << 32 | (uint64_t)minor;
  return true;
}
static char text[16384];
bool same_room(void) { return memory_ready(text, sizeof text); }
bool mount_device(const char *mountinfo, int64_t mount, uint64_t *device) {
  size_t kept = 0;
  bool found = false;
  int file = sure_open(mountinfo, O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  for (ssize_t n; !found && (n = sure_read(file, text + kept, sizeof text - kept)) > 0;) {
    const char *at = text, *end = text + kept + n, *feed;
    int64_t one;
    for (; !found && (feed = memchr(at, '\n', (size_t)(end - at))); at = feed + 1)
      found = mountinfo_line(at, (size_t)(feed - at), &one, device) && one == mount;
    kept = (size_t)(end - at);
    if (kept == sizeof text) break;
    memmove(text, at, kept);
  }
  close(file);
  return found;
}
void same_identify(int file, struct identity *out) {
  char path[64], text[1024];
  size_t n;
  int64_t mount;
  uint64_t inode, device;
  snprintf(path, sizeof path, "/proc/self/fdinfo/%d", file);
  if (read_text(path, text, sizeof text, &n) != SEEN || !fdinfo_identity(text, n, &inode, &mount) ||
      !mount_device("/proc/self/mountinfo", mount, &device))
    return;
  *out = (struct identity){device, inode};
}
