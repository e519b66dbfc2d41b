#include "table.h"
#include "answer.h"
#include <inttypes.h>

bool table_any_live(const struct table *t) {
  for (uint32_t i = 0; i < t->processes; i++)
    if (t->process[i].live) return true;
  return false;
}
bool table_live_of(const struct table *t, int vm) {
  for (uint32_t i = 0; i < t->processes; i++)
    if (t->process[i].live && t->process[i].vm == vm) return true;
  return false;
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
    if (t->process[i].vm == p->vm && t->process[i].role == ROLE_SIDE) t->process[i].live = false;
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
  *p = (struct process){pid, vm, start, epoch, domain, role, false, false};
  if (epoch > t->order->vm[vm].epoch) remember_newer(t, p);
  else p->live = true;
  t->need_look = true;
  if (role == ROLE_START) return;
  char number[24] = "none";
  if (epoch >= 0) snprintf(number, sizeof number, "%" PRId64, epoch);
  say("pid %s %d %" PRIu64 " epoch=%s role=%s", t->order->vm[vm].uuid, pid, start, number, roles[role]);
}
