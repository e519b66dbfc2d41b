#include "input.h"
#include "clock.h"
#include "limits.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

static char buffer[MAX_LINE + 1];
static size_t filled, given, total;

static ssize_t read_more(int64_t until) {
  struct pollfd in = {0, POLLIN, 0};
  for (;;) {
    int64_t rest = until - clock_ms();
    if (rest <= 0 || poll(&in, 1, (int)rest) == 0) return 0;
    ssize_t n = read(0, buffer + filled, sizeof buffer - filled);
    if (n >= 0 || errno != EINTR) return n;
  }
}
const char *input_line(int limit_ms, size_t *length, const char **why) {
  int64_t until = clock_ms() + limit_ms;
  memmove(buffer, buffer + given, filled -= given);
  given = 0;
  for (size_t searched = 0;;) {
    char *feed = memchr(buffer + searched, '\n', filled - searched);
    size_t n = feed ? (size_t)(feed - buffer) : filled;
    *why = "too-long the order is too long";
    if (n >= MAX_LINE || total + n >= MAX_INPUT) return NULL;
    if (feed) {
      *length = n, given = n + 1, total += n;
      return buffer;
    }
    searched = filled;
    ssize_t more = read_more(until);
    *why = "no-order the order ended early";
    if (more <= 0) return NULL;
    filled += (size_t)more;
  }
}
