#include "starts.h"
#include "handle.h"
#include "memory.h"
#include "helpers.h"
#include "look.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static TABLE char out[524288], err[131072];
static TABLE struct told told[MAX_VMS];

bool starts_room(struct size size) {
  size_t words = (size_t)size.vms * 1024, errors = (size_t)size.vms * 256 + 4096;
  return memory_ready(out, words < sizeof out ? words : sizeof out) &&
         memory_ready(err, errors < sizeof err ? errors : sizeof err) &&
         memory_ready(told, size.vms * sizeof *told);
}

void end_grants(struct table *t) {
  char path[4200];
  for (uint32_t v = 0; v < t->order->vms; v++) {
    int64_t epoch;
    struct key key;
    snprintf(path, sizeof path, "%s/grants/%s", t->run, t->order->vm[v].uuid);
    enum seen seen = read_record(path, &epoch, &key);
    if (seen == GONE) continue;
    /* safety: F34: a start whose record can't be read may be under way */
    if (seen == NOT_SEEN) t->vm[v].granted = GRANT_UNREADABLE;
    if (seen == NOT_SEEN || epoch > t->order->vm[v].epoch) continue;
    t->vm[v].granted = GRANT_CLOSED;
    if (is_dead(key.pid, key.start)) continue;
    table_remember(t, key.pid, key.start, (int)v, epoch, -1, ROLE_START);
    handle_kill(-1, key.pid, key.start);
  }
}

bool all_settled(const struct table *t) {
  for (uint32_t v = 0; v < t->order->vms; v++)
    if (!t->vm[v].settled) return false;
  return true;
}

/** One virsh for all VMs that are not settled yet; a question waits for a start's lock. */
void ask_libvirt(struct table *t, struct libvirt *l, int64_t stop_at) {
  char *words = helpers_words();
  int64_t until = l->ask_until < t->now + 50 ? t->now + 50 : l->ask_until;
  size_t n = 0;
  for (uint32_t v = 0; v < t->order->vms; v++) {
    const char *u = t->order->vm[v].uuid;
    if (!t->vm[v].settled && MAX_WORDS - n > 200)
      n += (size_t)snprintf(words + n, MAX_WORDS - n, "echo @ %s; domname %s; domid %s; domstate %s; ", u, u, u, u);
  }
  if (!helpers_give(JOB_ASK, 0, 0, 0, until < stop_at ? until : stop_at)) return;
  l->asking = true;
  l->asked_at = t->now;
}

/** May "nothing found" count for this VM now? */
static void settle(struct table *t, uint32_t v, enum said said) {
  /* safety: F34: libvirt runs a start that waits for a worker even after its virsh was killed, and says
     "shut off" meanwhile: after a start by the agent no answer counts, only the end of the daemon */
  if (t->vm[v].granted != GRANT_NONE) return;
  bool settled = said == SAID_OFF;
  /* It answered after the barrier and says "running": settled only if that is explained by a run we have
     seen; else it may be about to start something. */
  for (uint32_t i = 0; i < t->processes && !settled; i++)
    settled = t->process[i].vm == (int)v && t->process[i].role == ROLE_QEMU;
  if (settled) t->vm[v].settled = t->need_look = true;
}
static void hear_vm(struct table *t, uint32_t v, const struct told *told) {
  if (told->named) strcpy(t->vm[v].name, told->name);
  if (told->named && told->id >= 0) t->vm[v].domain = told->id, t->vm[v].told_at = t->looks;
  t->vm[v].unknown = told->said == SAID_OFF;
  for (uint32_t i = 0; i < t->processes && t->vm[v].unknown; i++)
    if (t->process[i].vm == (int)v) t->process[i].woken = true;
  if (told->said != SAID_NOTHING && !t->vm[v].settled) settle(t, v, told->said);
}
void hear_libvirt(struct table *t, struct libvirt *l, int ask, int rc) {
  l->asking = false;
  /* Where no program can begin there is no sense in waiting for what libvirt would say. */
  if (rc == NO_MEMORY && ++l->unable >= MAX_UNABLE) l->ask_until = t->now;
  size_t out_length = helpers_said(ask, 0, out, sizeof out), err_length = helpers_said(ask, 1, err, sizeof err);
  libvirt_answer(t->order, out, out_length, err, err_length, told);
  for (uint32_t v = 0; v < t->order->vms; v++) hear_vm(t, v, &told[v]);
  /* Nobody is there to answer, if a look after this sees no daemon and none of its children. */
  if (rc != 0 && libvirt_refused(err, err_length)) l->refused_after = t->looks, t->need_look = true;
}

static bool nobody_answers(const struct table *t, const struct libvirt *l) {
  return l->refused_after > 0 && t->looks > l->refused_after && t->look_ok && !t->unborn && t->daemons == 0;
}
/* Is nothing left but starts that no answer of libvirt settles, and whose virsh is gone? A daemon that
   hangs in storage does not die, so what its answers can settle is settled before. */
static bool only_cut_off(const struct table *t) {
  for (uint32_t v = 0; v < t->order->vms; v++)
    if (!t->vm[v].settled && t->vm[v].granted != GRANT_CLOSED) return false;
  for (uint32_t i = 0; i < t->processes; i++)
    if (t->process[i].live && t->process[i].role == ROLE_START) return false;
  return true;
}
/* safety: F21: libvirt doesn't answer, so a start may hang in it: end the daemon, wait for its children
   that are not a qemu yet, look again */
static void kill_daemons(struct table *t, struct libvirt *l) {
  look(t);
  for (uint32_t i = 0; i < t->daemons; i++) {
    if (is_dead(t->daemon[i].pid, t->daemon[i].start)) continue;
    handle_kill(-1, t->daemon[i].pid, t->daemon[i].start);
    if (l->doomed_count < MAX_DAEMONS) l->doomed[l->doomed_count++] = t->daemon[i];
  }
  /* safety: F21: a look that could not look at everything may have missed the daemon */
  l->daemon_killed = t->look_ok;
  t->need_look = true;
}
void tend_libvirt(struct table *t, struct libvirt *l, int64_t stop_at) {
  if (all_settled(t)) return;
  if (nobody_answers(t, l) || only_cut_off(t)) l->ask_until = t->now;
  if (!l->asking && !l->daemon_killed && t->now < l->ask_until) {
    if (l->asked_at < 0 || t->now - l->asked_at >= 100) ask_libvirt(t, l, stop_at);
    return;
  }
  if (t->now < l->ask_until && !l->daemon_killed) return;
  if (!l->daemon_killed) {
    kill_daemons(t, l);
    return;
  }
  for (uint32_t i = 0; i < l->doomed_count; i++)
    if (!is_dead(l->doomed[i].pid, l->doomed[i].start)) return;
  look(t);
  if (!t->look_ok || t->unborn) return;
  for (uint32_t v = 0; v < t->order->vms; v++) t->vm[v].settled = true;
  t->need_look = true;
}
