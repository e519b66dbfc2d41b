// Linked with -Wl,--wrap=open: a disk that hangs, for files below a folder named "hung".
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...) {
  if (strstr(path, "/hung/")) sleep(5);
  return __real_open(path, flags);
}
