#include "engine.h"
#include "answer.h"
#include "clock.h"
#include "drains.h"
#include "handle.h"
#include "helpers.h"
#include "look.h"
#include "sure.h"
#include "writers.h"
#include <stdio.h>
#include <string.h>

enum { SHORT_PAUSE = 25, TICK = 5, CHECK_EVERY = 20, SCAN_SOON = 20, SCAN_LATE = 200, SCAN_EVERY = 50, LOOK_AGAIN = 10 };

static void tick(struct fence *f) { f->table.now = clock_ms(); }

static void on_report(struct fence *f, const struct report *r) {
  switch (r->job) {
    case JOB_BARRIER:
      if (r->rc == KILLED && f->barriers++ < MAX_KILLED && helpers_give(JOB_BARRIER, 0, 0, 0, NO_TIME)) break;
      f->disk_answered = true, f->on_disk = r->rc == 0;
      break;
    case JOB_ASK: hear_libvirt(&f->table, &f->libvirt, r->ask, r->rc); break;
    case JOB_NAME: case JOB_FLUSH_FILE: case JOB_FLUSH_BLOCK: drains_hear(&f->table, r); break;
    default: break;
  }
}
static void on_death(void *context, uint32_t index) {
  struct table *t = context;
  if (index < t->processes) t->process[index].woken = true;
}
static void hear(struct fence *f, int wait_ms) {
  struct report r;
  answer_flush(0);
  handles_wait(wait_ms, on_death, &f->table);
  tick(f);
  while (helpers_next(f->table.now, &r)) on_report(f, &r);
}

/* F19: libvirt is told that the end is wanted; what it answers proves nothing. A destroy by uuid that waits
   in libvirt's queue would hit a newer run, so it goes to the number that libvirt gave this run. */
static void start_destroys(struct fence *f) {
  struct table *t = &f->table;
  for (uint32_t i = 0; i < t->processes; i++) {
    const struct process *p = &t->process[i];
    struct vm_state *vm = &t->vm[p->vm];
    if (!p->live || p->role != ROLE_QEMU || vm->domain < 0 || vm->destroyed) continue;
    if (f->destroys >= MAX_DESTROYS || f->libvirt.daemon_killed) return;
    /* What began before libvirt told the number is seen by a look after that. */
    if (t->looks <= vm->told_at) look(t);
    /* safety: F35: no number of a newer run, nor one that this process does not bear itself */
    if (vm->newer || (p->domain >= 0 && p->domain != vm->domain)) continue;
    int64_t until = t->now + 5000 < f->stop_at ? t->now + 5000 : f->stop_at;
    if (!helpers_give(JOB_DESTROY, (uint32_t)p->vm, 0, vm->domain, until)) return;
    vm->destroyed = true, f->destroys++;
  }
}
/** Where memory is short everything that is asked of the kernel costs some of what is kept for that. */
static int64_t patience(int64_t usual, uint32_t times) {
  return spare_used() ? usual << (times < 5 ? times : 5) : usual;
}
/** What came to nothing often is tried ever less often: nothing on this processor may be before us. */
static int64_t pause_after(int64_t usual, uint32_t voids) {
  if (voids == 0) return 0;
  if (spare_used()) return patience(usual, voids);
  int64_t pause = VOID_PAUSE;
  if (voids <= VOIDS_AT_ONCE) return 0;
  for (uint32_t i = VOIDS_AT_ONCE + 1; i < voids && pause < MAX_VOID_PAUSE; i++) pause *= 2;
  return pause;
}
/** The grace is for libvirt's destroy: there is none of a run that it doesn't know. */
static bool is_unknown(const struct table *t, const struct process *p) {
  /* safety: F35: a side process may be that of a newer run whose qemu is still to come */
  return p->role == ROLE_QEMU && t->vm[p->vm].unknown;
}
static void check_processes(struct fence *f) {
  struct table *t = &f->table;
  /* A death wakes us; all the same everybody is looked at now and then, and killed again. */
  bool all = t->now - f->checked_at >= patience(CHECK_EVERY, 2) || (t->now >= f->kill_at && f->checked_at < f->kill_at);
  for (uint32_t i = 0; i < t->processes && t->live > 0; i++) {
    struct process *p = &t->process[i];
    if (!p->live || !(all || p->woken || p->handle < 0)) continue;
    p->woken = false;
    if (is_dead(p->pid, p->start)) table_no_longer_live(t, p), t->need_look = true;
    else if (t->now >= f->kill_at || is_unknown(t, p)) handle_kill(p->handle, p->pid, p->start);
  }
  if (all) f->checked_at = t->now;
}

/** A VM is clean when, after the last death and after libvirt's answer, a full look found nothing. */
static void mark_clean(struct table *t) {
  for (uint32_t v = 0; v < t->order->vms; v++) {
    struct vm_state *vm = &t->vm[v];
    if (table_live_of(t, v) || vm->unsure || !vm->settled || vm->granted == GRANT_UNREADABLE ||
        t->unattributed || !t->look_ok) {
      /* safety: F20a, F21a: what was flushed or scanned before this is worth nothing */
      vm->clean = vm->scanned = false, vm->turn++;
    } else if (!vm->clean && !t->need_look) {
      vm->clean = true, vm->turn++;
      vm->scanned = vm->rescanned = false, vm->writers = 0;
      drains_begin(t, v);
    }
  }
}
/** One scan is for all VMs: does it wait for those that may be ready soon? Never long for one that hangs. */
static bool waits_for(struct fence *f, uint32_t others) {
  int64_t now = f->table.now;
  if (f->ready_at < 0) f->ready_at = now;
  if (others != f->others) f->others = others, f->others_at = now;
  if (others > 0 && now - f->others_at < SCAN_SOON && now - f->ready_at < SCAN_LATE) return true;
  f->ready_at = -1;
  return false;
}
/** A file of our own that the look for writers must see; without it none is worth anything. */
static bool has_witness(struct fence *f) {
  char own[40];
  if (f->witness_file < 0) f->witness_file = sure_open(f->witness_path, O_WRONLY | O_CREAT | O_CLOEXEC);
  if (f->witness_file < 0) return false;
  if (f->witness[0]) return true;
  snprintf(own, sizeof own, "/proc/self/fd/%d", f->witness_file);
  ssize_t n = sure_own_link(own, f->witness, sizeof f->witness - 1);
  f->witness[n > 0 ? n : 0] = 0;
  return n > 0;
}
static void scan(struct fence *f) {
  struct table *t = &f->table;
  bool any = false;
  uint32_t others = 0;
  for (uint32_t v = 0; v < t->order->vms; v++) {
    t->vm[v].scanning = t->vm[v].clean && !t->vm[v].scanned && !drains_waiting(t, v) && drains_named(t, v);
    others += !t->vm[v].scanned && !t->vm[v].scanning;
    any |= t->vm[v].scanning;
  }
  bool early = t->now - f->scanned_at < pause_after(SCAN_EVERY, f->void_scans);
  if (!any || early || waits_for(f, others)) return;
  f->scanned_at = t->now;
  f->void_scans++;
  /* safety: F20a: a look that was void has not seen everybody */
  if (!has_witness(f) || !writers_scan(t, f->witness)) return;
  f->void_scans = 0;
  for (uint32_t v = 0; v < t->order->vms; v++)
    if (t->vm[v].scanning) t->vm[v].scanned = true, t->vm[v].turn++, drains_queue(t, v);
}
static bool finished(const struct table *t) {
  for (uint32_t v = 0; v < t->order->vms; v++)
    if (!t->vm[v].clean || !t->vm[v].scanned || drains_waiting(t, v)) return false;
  return true;
}

static void look_again(struct fence *f) {
  look(&f->table);
  f->voids = f->table.look_ok && !f->table.unattributed ? 0 : f->voids + 1;
}
static void note_times(struct fence *f) {
  bool live = table_any_live(&f->table);
  if (!live && !f->times.dead) f->times.dead = f->table.now;
  if (!live && !f->table.need_look && !f->times.clean && all_settled(&f->table)) f->times.clean = f->table.now;
}
static int64_t question_time(int64_t deadline_ms) {
  int64_t quarter = deadline_ms / 4;
  return quarter < 1000 ? 1000 : quarter > 5000 ? 5000 : quarter;
}
static void begin(struct fence *f) {
  struct table *t = &f->table;
  tick(f);
  f->times.barrier = t->now;
  f->kill_at = t->now + ASK_FIRST + t->order->grace_ms;
  f->libvirt.ask_until = t->now + question_time(t->order->deadline_ms);
  f->libvirt.asked_at = -1;
  ask_libvirt(t, &f->libvirt, f->stop_at);
  look(t);
}
/** A bell or a death ends a wait at once; what has neither is looked for this often. */
static int wait_of(const struct fence *f) {
  const struct table *t = &f->table;
  for (uint32_t i = 0; f->destroying && i < t->processes && t->live > 0; i++)
    if (t->process[i].live && t->process[i].handle < 0) return 1;
  return TICK;
}
void engine_begin(struct fence *f) {
  /* safety: F17: nothing of one order leaks into the next */
  memset((char *)f + sizeof f->table, 0, sizeof *f - sizeof f->table);
  f->witness_file = -1;
  f->ready_at = -1;
}
static bool is_look_due(const struct fence *f) {
  const struct table *t = &f->table;
  int64_t since = t->now - t->looked_at;
  if (!t->need_look && t->look_ok && !t->unattributed) return since >= patience(LOOK_EVERY, 2);
  if (since < pause_after(SHORT_PAUSE, f->voids)) return false;
  /* Where many die, one look is for all of them. */
  return !t->need_look || t->live == 0 || since >= LOOK_AGAIN;
}
void engine_work(struct fence *f) {
  struct table *t = &f->table;
  bool last_look = false;
  for (begin(f), tick(f); t->now < f->stop_at; tick(f)) {
    if (!f->destroying && (all_settled(t) || t->now >= f->times.barrier + ASK_FIRST))
      f->destroying = true, f->kill_at = t->now + t->order->grace_ms;
    if (f->destroying && t->now < f->kill_at) start_destroys(f);
    check_processes(f);
    tend_libvirt(t, &f->libvirt, f->stop_at);
    if (is_look_due(f)) look_again(f);
    note_times(f);
    mark_clean(t);
    scan(f);
    drains_tend(t, NO_TIME);
    /* What is to be looked at again is not finished. */
    if (!t->need_look && finished(t)) {
      /* safety: F21: look once more, after everything: something may have restarted it */
      if (last_look) break;
      look_again(f), last_look = true;
      continue;
    }
    last_look = false;
    hear(f, wait_of(f));
  }
  tick(f);
  f->times.end = t->now;
}
void engine_wait_for_disk(struct fence *f) {
  int64_t until = f->table.now + 500;
  if (until > f->stop_at) until = f->stop_at;
  while (!f->disk_answered && f->table.now < until) hear(f, 20);
}
