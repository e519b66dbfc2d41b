#include "input.h"
#include "clock.h"
#include "helpers.h"
#include "limits.h"
#include "memory.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

static TABLE char buffer[MAX_LINE + 1];
static size_t filled, given, total;

enum { STEP = 65536 };

static size_t ready;

bool input_room(void) { return memory_grow(buffer, &ready, 2 * STEP); }
/** How much can be read now; 0: memory is short. */
static size_t space(void) {
  size_t wanted = filled + STEP < sizeof buffer ? filled + STEP : sizeof buffer;
  memory_grow(buffer, &ready, wanted);
  return (ready < wanted ? ready : wanted) - filled;
}
static ssize_t read_more(int64_t until) {
  struct pollfd in[2] = {{0, POLLIN, 0}, {helpers_bell(), POLLIN, 0}};
  for (;;) {
    int64_t rest = until - clock_ms();
    if (rest <= 0 || poll(in, 2, (int)rest) == 0) return 0;
    if (in[1].revents) helpers_heard(), helpers_tend();
    if (!in[0].revents) continue;
    ssize_t n = read(0, buffer + filled, space());
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
void input_begin(void) { total = 0; }
bool input_ended(void) {
  struct pollfd in = {0, POLLIN, 0};
  if (filled > given || poll(&in, 1, 0) <= 0) return false;
  filled = given = 0;
  ssize_t n = read(0, buffer, space());
  if (n > 0) filled = (size_t)n;
  return n == 0;
}
bool input_pending(void) { return filled > given; }
void input_forget(void) { filled = given = total = 0; }
