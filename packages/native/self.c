#include "self.h"
#include "clock.h"
#include "handle.h"
#include "procfs.h"
#include "sure.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool read_uuid(const char *path, char *to) {
  char text[64];
  size_t n;
  if (read_text(path, text, sizeof text, &n) != SEEN) return false;
  if (n > 0 && text[n - 1] == '\n') n--;
  if (!uuid_is_canonical(text, n)) return false;
  memcpy(to, text, n), to[n] = 0;
  return true;
}
static void nobody_died(void *context, uint32_t index) { (void)context, (void)index; }
/** The state directory's disk may hang: a helper reads it. */
static bool host_from_disk(char *host) {
  int64_t until = clock_ms() + 1000;
  struct report r;
  int tries = 0;
  if (!helpers_give(JOB_HOST, 0, 0, 0, until)) return false;
  for (;;) {
    handles_wait(20, nobody_died, NULL);
    if (!helpers_next(clock_ms(), &r)) continue;
    if (r.rc == KILLED && tries++ < MAX_KILLED && helpers_give(JOB_HOST, 0, 0, 0, until)) continue;
    if (r.rc != 0 || !uuid_is_canonical(r.text, strcspn(r.text, "\n"))) return false;
    memcpy(host, r.text, 36), host[36] = 0;
    return true;
  }
}
static void read_pidns(char *pidns, size_t room) {
  char text[64];
  size_t n = 0;
  ssize_t length = sure_own_link("/proc/self/ns/pid", text, sizeof text);
  for (ssize_t i = 0; i < length; i++)
    if (text[i] >= '0' && text[i] <= '9' && n + 1 < room) pidns[n++] = text[i];
  pidns[n] = 0;
}

const char *self_read(struct self *self, const struct options *options) {
  const char *control = NULL;
  char path[4200];
  *self = (struct self){"-", "-", ""};
  snprintf(path, sizeof path, "%s/host", options->run);
  if (!read_uuid(path, self->host) && !host_from_disk(self->host)) control = "no-host";
  if (!read_uuid("/proc/sys/kernel/random/boot_id", self->boot)) control = "no-boot";
  read_pidns(self->pidns, sizeof self->pidns);
  return geteuid() == 0 ? control : "not-root";
}
