// A hook of libvirt that ends libvirt's daemon a given time after the hooks of a start have ended: the time
// stands in /run/kill-after-us, in microseconds, and is used once.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static long number_in(const char *file) {
  char text[32] = "";
  int fd = open(file, O_RDONLY);
  if (fd < 0 || read(fd, text, sizeof text - 1) < 0) return -1;
  close(fd);
  return atol(text);
}
static long now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000L + now.tv_nsec / 1000;
}
int main(int argc, char **argv) {
  if (argc < 3 || strcmp(argv[2], "start") != 0) return 0;
  long after = number_in("/run/kill-after-us"), daemon = number_in("/run/libvirtd.pid");
  if (after < 0 || daemon < 2 || fork() != 0) return 0;
  unlink("/run/kill-after-us");
  setsid();
  for (int fd = 0; fd < 3; fd++) close(fd);
  for (long until = now_us() + after; now_us() < until;) {}
  kill((pid_t)daemon, SIGKILL);
  _exit(0);
}
