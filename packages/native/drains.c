#include "drains.h"
#include "helpers.h"
#include "places.h"
#include "sure.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* STORAGE_SPARES: whatever hangs in storage, there is a helper for a question and one for a destroy. */
enum { SLOW_FLUSH = 100, NAMES_BESIDE = 6, STORAGE_SPARES = 2 };

void drains_begin(struct table *t, uint32_t v) {
  const struct vm *vm = &t->order->vm[v];
  for (uint32_t d = vm->first_disk; d < vm->first_disk + vm->disks; d++) t->disk[d].drained = DRAIN_NONE, t->disk[d].again = false;
}
/* safety: F21a: who wrote and ended before the scan has left pages to be written: only a flush after it counts */
void drains_queue(struct table *t, uint32_t v) {
  const struct vm *vm = &t->order->vm[v];
  for (uint32_t d = vm->first_disk; d < vm->first_disk + vm->disks; d++)
    if (t->disk[d].drained == DRAIN_NONE || t->disk[d].drained == DRAIN_SYNCED) t->disk[d].drained = DRAIN_QUEUED;
}
static bool is_local(const struct table *t, uint32_t d) { return disk_is_local(t->order, d); }
/** Was it written to through io_uring, as far as the order or the arguments of its qemu say? */
static bool is_uring(const struct table *t, uint32_t d) {
  enum kind kind = t->order->disk[d].kind;
  return is_local(t, d) && (kind == KIND_URING_FILE || kind == KIND_URING_BLOCK || t->vm[t->order->disk[d].vm].uring);
}
bool drains_named(const struct table *t, uint32_t v) {
  const struct vm *vm = &t->order->vm[v];
  for (uint32_t d = vm->first_disk; d < vm->first_disk + vm->disks; d++)
    if (is_local(t, d) && t->disk[d].naming != NAME_TOLD) return false;
  return true;
}
bool drains_waiting(const struct table *t, uint32_t v) {
  const struct vm *vm = &t->order->vm[v];
  for (uint32_t d = vm->first_disk; d < vm->first_disk + vm->disks; d++) {
    enum drained one = t->disk[d].drained;
    if (one == DRAIN_QUEUED || one == DRAIN_RUNS || one == DRAIN_SOCKETS) return true;
  }
  return false;
}

/** The name that other processes' open files show. False: no room, so writers would not be found by it. */
static bool keep_real(struct table *t, uint32_t d, const char *name, bool *changed) {
  const char *old = t->disk[d].real ? t->names + t->disk[d].real : disk_path(t->order, d);
  size_t n = strlen(name) + 1;
  *changed = strcmp(old, name) != 0;
  if (!*changed) return true;
  if (t->names_used == 0) t->names_used = 1;
  if (n > t->names_room - t->names_used) return false;
  memcpy(t->names + t->names_used, name, n);
  t->disk[d].real = t->names_used;
  t->names_used += (uint32_t)n;
  return true;
}
/** Its helper was killed by somebody else: another one is asked, but not for ever. */
static bool is_again(struct disk_state *disk, const struct report *r) { return r->rc == KILLED && disk->killed++ < MAX_KILLED; }
static void hear_name(struct table *t, const struct report *r) {
  struct disk_state *disk = &t->disk[r->item];
  bool changed;
  disk->naming = NAME_TOLD;
  if (is_again(disk, r)) {
    disk->naming = NAME_WANTED;
    return;
  }
  /* What can't be named now can't be flushed later either, or has another name then, and is scanned for again. */
  if (r->rc == 0 && keep_real(t, r->item, r->text, &changed)) disk->identity = r->identity;
}
void drains_hear(struct table *t, const struct report *r) {
  uint32_t d = r->item, v = t->order->disk[d].vm;
  bool changed = false;
  if (r->job == JOB_NAME) {
    hear_name(t, r);
    return;
  }
  /* safety: F21a: a flush from before a death says nothing about what came later */
  if (r->turn != t->vm[v].turn || t->disk[d].drained != DRAIN_RUNS) return;
  /* safety: F21a: only a flush that succeeded is a drain */
  bool ok = r->rc == 0 && keep_real(t, d, r->text, &changed);
  bool again = r->rc == NO_MEMORY || is_again(&t->disk[d], r);
  t->disk[d].drained = ok ? DRAIN_SYNCED : again ? DRAIN_QUEUED : DRAIN_NO;
  t->disk[d].again = again;
  if (again) return; /* it said nothing of the disk */
  changed |= t->disk[d].identity.inode != r->identity.inode || t->disk[d].identity.device != r->identity.device;
  t->disk[d].identity = r->identity;
  /* safety: F20a: writers were looked for by another name */
  if (changed) t->vm[v].scanned = false;
  /* safety: F20a, F21a: the scan before a flush that took long is old: somebody may have come and gone since */
  if (ok && t->now - t->disk[d].begun > SLOW_FLUSH && !t->vm[v].rescanned) t->vm[v].rescanned = true, t->vm[v].scanned = false;
}

/** One of the two tables of sockets; missing is empty. */
static bool table_drained(const char *path) {
  static char text[65536];
  size_t kept = 0;
  bool ok = true, first = true;
  int file = sure_open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return errno == ENOENT;
  for (ssize_t n; ok;) {
    n = sure_read(file, text + kept, sizeof text - kept);
    /* safety: F21a: a table that can't be read to its end has not shown every socket */
    if (n <= 0) {
      ok = n == 0 && kept == 0;
      break;
    }
    const char *at = text, *end = text + kept + n, *feed;
    for (; ok && (feed = memchr(at, '\n', (size_t)(end - at))); at = feed + 1, first = false)
      ok = first || tcp_line_drained(at, (size_t)(feed - at));
    kept = (size_t)(end - at);
    memmove(text, at, kept);
    if (kept == sizeof text) ok = false;
  }
  close(file);
  return ok;
}
/* Network disks: the kernel goes on sending what a dead client left in its sockets. Such a socket has no inode. */
static bool sockets_drained(void) {
  /* safety: F21a: ENOENT is also said of a folder for which memory is short; while it is open it says so of a
     table only if there is none */
  int folder = sure_open("/proc/self/net", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bool ok = folder >= 0 && table_drained("/proc/net/tcp") && table_drained("/proc/net/tcp6");
  if (folder >= 0) close(folder);
  return ok;
}

/** By names alone: two devices are two places, and so are two mounts. */
static bool same_place(const struct table *t, uint32_t a, uint32_t b) {
  const char *one = disk_path(t->order, a), *other = disk_path(t->order, b);
  bool files = strncmp(one, "/dev/", 5) != 0 && strncmp(other, "/dev/", 5) != 0;
  return files ? place_of(one) == place_of(other) : strcmp(one, other) == 0;
}
/** May a helper go to this disk's storage now? */
static bool may_start(const struct table *t, uint32_t d, int keep) {
  if (!helpers_spare(keep)) return false;
  if (helpers_spare(ORDER_HELPERS)) return true;
  /* safety: F17: the last ones go to a storage at which nobody waits: it may be one that hangs */
  uint32_t other;
  int64_t since;
  for (unsigned at = 0; helpers_at_storage(&at, &other, &since);)
    if (same_place(t, d, other)) return false;
  return true;
}
/** True if a helper has begun with it. */
static bool start_flush(struct table *t, uint32_t d, int64_t forever) {
  struct disk_state *disk = &t->disk[d];
  uint32_t turn = t->vm[t->order->disk[d].vm].turn;
  /* safety: F21a: a request that io_uring has handed to the kernel is of no process any more; a flush waits for what
     has ended and for pages, not for that */
  if (is_uring(t, d)) return disk->drained = DRAIN_URING, false;
  if (!is_local(t, d)) return disk->drained = DRAIN_SOCKETS, false;
  enum job job = t->order->disk[d].kind == KIND_FILE ? JOB_FLUSH_FILE : JOB_FLUSH_BLOCK;
  if (!may_start(t, d, STORAGE_SPARES) || !helpers_give(job, d, turn, 0, forever)) return false;
  disk->drained = DRAIN_RUNS, disk->turn = turn;
  if (!disk->again) disk->begun = t->now;
  return disk->again = false, true;
}
/** At work on storage; one that hangs no longer counts. */
static int young_ones(const struct table *t) {
  uint32_t disk;
  int64_t since;
  int count = 0;
  for (unsigned at = 0; helpers_at_storage(&at, &disk, &since);) count += t->now - since <= 1000;
  return count;
}
static bool is_early(const struct table *t, uint32_t d) { return !t->vm[t->order->disk[d].vm].clean; }
/* Names that are asked for early neither take the helpers that kill, nor, where they hang, the others' turn. */
static int room_beside(const struct table *t) {
  int room = NAMES_BESIDE;
  for (uint32_t d = 0; d < t->order->all_disks; d++) room -= t->disk[d].naming == NAME_ASKED && is_early(t, d);
  return room;
}
static void ask_name(struct table *t, uint32_t d, int64_t forever, int *room, int *share) {
  /* safety: F17: where nothing can be forked, names that hang leave the helpers that an order always needs */
  if (*room <= 0 || *share <= 0 || !may_start(t, d, is_early(t, d) ? ORDER_HELPERS : STORAGE_SPARES)) return;
  if (!helpers_give(JOB_NAME, d, 0, 0, forever)) return;
  t->disk[d].naming = NAME_ASKED, --*room;
  if (share != room) --*share;
}
void drains_tend(struct table *t, int64_t forever) {
  int room = MAX_DRAINS - young_ones(t), beside = room_beside(t), drained = -1;
  for (uint32_t d = 0; d < t->order->all_disks; d++) {
    if (t->disk[d].naming == NAME_WANTED && is_local(t, d)) ask_name(t, d, forever, &room, is_early(t, d) ? &beside : &room);
    if (t->disk[d].drained == DRAIN_QUEUED && room > 0) room -= start_flush(t, d, forever);
    if (t->disk[d].drained != DRAIN_SOCKETS) continue;
    if (drained < 0) drained = sockets_drained();
    if (drained) t->disk[d].drained = DRAIN_DIRECT;
  }
}
