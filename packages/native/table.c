#include "table.h"
#include "answer.h"
#include "handle.h"
#include "memory.h"
#include <inttypes.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

bool order_room(struct order *o, struct size size) {
  return memory_ready(o, offsetof(struct order, vm)) && memory_ready(o->vm, size.vms * sizeof *o->vm) &&
         memory_ready(o->disk, size.disks * sizeof *o->disk) && memory_ready(o->text, size.text);
}
bool table_room(struct table *t, struct size size) {
  uint32_t processes = size.vms * 4 + 64, names = (uint32_t)size.text / 2 + 65536;
  if (names > sizeof t->names) names = sizeof t->names;
  if (processes > MAX_PROCS) processes = MAX_PROCS;
  if (!memory_ready(t, offsetof(struct table, process)) || !memory_ready(t->process, processes * sizeof *t->process) ||
      !memory_ready(t->vm, size.vms * sizeof *t->vm) || !memory_ready(t->disk, size.disks * sizeof *t->disk) ||
      !memory_ready(t->daemon, sizeof t->daemon) || !memory_ready(t->writer, 64 * sizeof *t->writer) ||
      !memory_ready(t->names, names))
    return false;
  if (names > t->names_room) t->names_room = names;
  return true;
}
void table_begin(struct table *t, struct order *order, const char *run) {
  uint32_t names_room = t->names_room;
  /* safety: F17: nothing of one order leaks into the next */
  memset(t, 0, offsetof(struct table, process));
  memset(t->vm, 0, order->vms * sizeof *t->vm);
  memset(t->disk, 0, order->all_disks * sizeof *t->disk);
  t->order = order, t->run = run, t->self = getpid(), t->names_room = names_room;
  for (uint32_t v = 0; v < order->vms; v++) t->vm[v].domain = -1;
}
void table_end(struct table *t) {
  for (uint32_t i = 0; i < t->processes; i++) handle_close(t->process[i].handle);
  t->processes = 0;
}

void table_no_longer_live(struct table *t, struct process *p) {
  if (!p->live) return;
  p->live = false;
  t->live--, t->vm[p->vm].live--;
}
struct process *table_find(struct table *t, int pid, uint64_t start) {
  for (uint32_t i = 0; i < t->processes; i++)
    if (t->process[i].pid == pid && t->process[i].start == start) return &t->process[i];
  return NULL;
}

static void remember_newer(struct table *t, struct process *p) {
  /* safety: F35: a run newer than the order is reported and never touched */
  p->newer = true;
  t->vm[p->vm].newer = true;
  for (uint32_t i = 0; i < t->processes; i++)
    /* safety: F35: what was taken for a side process of the old run may be the newer one's */
    if (t->process[i].vm == p->vm && t->process[i].role == ROLE_SIDE) table_no_longer_live(t, &t->process[i]);
}

void table_remember(struct table *t, int pid, uint64_t start, int vm, int64_t epoch, int64_t domain, enum role role) {
  static const char *const roles[] = {"qemu", "side", "start"};
  if (table_find(t, pid, start)) return;
  if (t->processes == MAX_PROCS) {
    /* safety: F21: a process that can't be remembered was not looked at */
    t->full = true, t->look_ok = false;
    return;
  }
  struct process *p = &t->process[t->processes++];
  *p = (struct process){pid, vm, start, epoch, domain, role, false, false, false, -1};
  if (epoch > t->order->vm[vm].epoch) remember_newer(t, p);
  else {
    /* safety: F20a, F21a: what was flushed or scanned before is worth nothing, even if it dies before anybody looks again */
    t->vm[vm].clean = t->vm[vm].scanned = false, t->vm[vm].turn++;
    p->live = true, p->handle = handle_open(pid, start, t->processes - 1);
    t->live++, t->vm[vm].live++;
  }
  t->need_look = true;
  if (role == ROLE_START) return;
  char number[24] = "none";
  if (epoch >= 0) snprintf(number, sizeof number, "%" PRId64, epoch);
  say("pid %s %d %" PRIu64 " epoch=%s role=%s", t->order->vm[vm].uuid, pid, start, number, roles[role]);
}
