#include "clock.h"
#include <signal.h>
#include <string.h>
#include <time.h>

int64_t clock_ms(void) {
  struct timespec t;
  /* safety: F25: a clock that can't be read counts as "deadline reached", or a loop might never end */
  if (clock_gettime(CLOCK_BOOTTIME, &t) != 0) return NO_TIME;
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static timer_t timer;

int clock_begin(void) {
  struct sigevent event;
  memset(&event, 0, sizeof event);
  event.sigev_notify = SIGEV_SIGNAL;
  /* safety: F25: a handler would not run while a read of /proc waits for another process's memory
     map; SIGKILL ends such a wait. The timer and its signal are allocated now, not when needed. */
  event.sigev_signo = SIGKILL;
  return timer_create(CLOCK_BOOTTIME, &event, &timer);
}
int clock_watchdog(int64_t at_ms) {
  struct itimerspec when = {{0, 0}, {at_ms / 1000, at_ms % 1000 * 1000000}};
  return timer_settime(timer, TIMER_ABSTIME, &when, NULL);
}
