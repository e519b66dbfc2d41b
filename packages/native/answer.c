#include "answer.h"
#include "clock.h"
#include "memory.h"
#include "table.h"
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

static TABLE char waiting[1048576];
static char line[8192];
static size_t filled, room = 4096;
static bool closed;

/** A pipe that polls as writable takes this much without blocking (PIPE_BUF). */
enum { PIECE = 4096 };

bool answer_room(struct size size) {
  /* Each source once, and some words about it. */
  size_t wanted = size.text / 2 + (size_t)size.disks * 100 + (size_t)size.vms * 400 + 65536;
  if (wanted > sizeof waiting) wanted = sizeof waiting;
  if (!memory_ready(waiting, wanted) || !memory_ready(line, sizeof line)) return false;
  if (wanted > room) room = wanted;
  return true;
}

static bool give_piece(int wait_ms) {
  struct pollfd out = {1, POLLOUT, 0};
  if (poll(&out, 1, wait_ms) <= 0 || !(out.revents & (POLLOUT | POLLERR | POLLHUP))) return false;
  ssize_t n = write(1, waiting, filled < PIECE ? filled : PIECE);
  if (n < 0 && errno == EINTR) return true;
  /* A pipe that is empty enough, but no page to put there now: the peer takes what is before it. */
  if (n < 0 && errno == ENOMEM) return spare_help(errno, 0) || poll(NULL, 0, 1) == 0;
  if (n < 0) return closed = true, filled = 0, false; /* the peer has gone; the fence goes on */
  filled -= (size_t)n;
  memmove(waiting, waiting + n, filled);
  return true;
}
void answer_flush(int64_t until) {
  while (filled > 0) {
    int64_t rest = until > 0 ? until - clock_ms() : 0;
    if (rest < 0) rest = 0;
    if (!give_piece((int)rest) && (closed || rest == 0)) return;
  }
}
bool answer_given(void) { return filled == 0 && !closed; }
void answer_close(void) { close(1); }
void answer_forget(void) { filled = 0, closed = false; }

void say(const char *format, ...) {
  va_list values;
  va_start(values, format);
  int n = vsnprintf(line, sizeof line - 1, format, values);
  va_end(values);
  if (closed || n < 0 || (size_t)n >= sizeof line - 1) return;
  line[n++] = '\n';
  /* The watchdog bounds this wait. An answer with a hole has no last line either. */
  while (filled + (size_t)n > room && !closed) give_piece(1000);
  if (closed) return;
  memcpy(waiting + filled, line, (size_t)n);
  filled += (size_t)n;
  /* Not line by line: 500 VMs say thousands. Whoever waits for something else gives the rest first. */
  if (filled >= PIECE) answer_flush(0);
}

/** A source can be longer than a line of `say`. */
static void say_disk(const char *uuid, const char *source, const char *drained) {
  size_t n = strlen(source);
  if (n < 7000) say("disk %s %s drained=%s", uuid, source, drained);
}
static const char *disk_word(enum drained d) {
  return d == DRAIN_SYNCED ? "synced" : d == DRAIN_DIRECT ? "direct" : d == DRAIN_URING ? "no why=io_uring" : "no";
}
static void say_writers(const struct table *t, uint32_t vm) {
  for (uint32_t i = 0; i < t->writers; i++) {
    const struct writer *w = &t->writer[i];
    if (w->vm == vm)
      say("writer %s %d %s %.7000s", t->order->vm[vm].uuid, w->pid, w->comm, disk_source(t->order, w->disk));
  }
}
static const char *verdict_of(const struct table *t, uint32_t v, bool undrained, bool no_barrier) {
  const struct vm_state *vm = &t->vm[v];
  if (table_live_of(t, v)) return "alive";
  /* safety: F34: without a barrier nothing keeps the run closed, so nothing is "dead" */
  if (no_barrier) return "not-drained";
  if (!vm->clean) return "unattributed";
  if (vm->writers > 0) return "other-writer";
  return undrained || !vm->scanned ? "not-drained" : "dead";
}
void answer_verdicts(const struct table *t, bool on_disk, bool no_barrier) {
  for (uint32_t v = 0; v < t->order->vms; v++) {
    const struct vm *vm = &t->order->vm[v];
    bool undrained = false;
    for (uint32_t d = vm->first_disk; d < vm->first_disk + vm->disks; d++) {
      const char *word = disk_word(t->disk[d].drained);
      undrained |= strncmp(word, "no", 2) == 0;
      say_disk(vm->uuid, disk_source(t->order, d), word);
    }
    if (t->vm[v].writers > 0) say_writers(t, v);
    say("verdict %s %s barrier=%s", vm->uuid, verdict_of(t, v, undrained, no_barrier), on_disk ? "disk" : "memory");
  }
}
