#include "places.h"
#include "sure.h"
#include <string.h>

enum { MAX_PLACES = 512 };
static char points[32768];
static struct { unsigned at, length; } place[MAX_PLACES];
static unsigned count, used;

void places_forget(void) { count = used = 0; }
static bool is_octal(const char *at) {
  for (int i = 0; i < 3; i++)
    if (at[i] < '0' || at[i] > '7') return false;
  return at[0] < '4';
}
bool places_take(const char *line, size_t length) {
  const char *at = line, *end = line + length;
  for (int i = 0; i < 4; i++, at++)
    if (!(at = memchr(at, ' ', (size_t)(end - at)))) return false;
  const char *last = memchr(at, ' ', (size_t)(end - at));
  if (!last || at == last || *at != '/' || count == MAX_PLACES || (size_t)(last - at) > sizeof points - used) return false;
  unsigned begin = used;
  /* Blanks and backslashes are written as three octal digits. */
  for (; at < last; at++) {
    if (*at == '\\' && last - at > 3 && is_octal(at + 1)) {
      points[used++] = (char)((at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0'));
      at += 3;
    } else points[used++] = *at;
  }
  place[count].at = begin, place[count++].length = used - begin;
  return true;
}
void places_read(void) {
  static char text[8192];
  size_t kept = 0;
  places_forget();
  int file = sure_open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  for (ssize_t n; (n = sure_read(file, text + kept, sizeof text - kept)) > 0;) {
    const char *at = text, *end = text + kept + n, *feed;
    for (; (feed = memchr(at, '\n', (size_t)(end - at))); at = feed + 1) places_take(at, (size_t)(feed - at));
    kept = (size_t)(end - at);
    if (kept == sizeof text) break;
    memmove(text, at, kept);
  }
  close(file);
}
int place_of(const char *path) {
  unsigned best = 0, longest = 0;
  for (unsigned i = 0; i < count; i++) {
    unsigned n = place[i].length;
    const char *point = points + place[i].at;
    bool under = n == 1 || (strncmp(path, point, n) == 0 && (path[n] == '/' || path[n] == 0));
    /* Of two mounts at one point the later one is seen. */
    if (under && n >= longest) longest = n, best = i + 1;
  }
  return (int)best;
}
