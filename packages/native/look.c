#include "look.h"
#include "attribute.h"
#include "memory.h"
#include "owner.h"
#include "records.h"
#include "sides.h"
#include "sure.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FIRST_ROOM = 65536 };
static TABLE char text[MAX_CMDLINE]; /* arguments, or a status file of libvirt */
static size_t text_room;
static uint8_t remembered[8192]; /* a bit for each pid modulo 65536 */

bool look_room(struct size size) {
  if (text_room == 0 && !memory_ready(text, FIRST_ROOM)) return false;
  if (text_room == 0) text_room = FIRST_ROOM;
  return memory_ready(remembered, sizeof remembered) && records_room(size) && sides_room();
}
/** Few need more than the first room; false: they are longer than we can read. */
static bool more_room(void) {
  if (text_room == sizeof text || !memory_ready(text, sizeof text)) return false;
  text_room = sizeof text;
  return true;
}
static enum seen arguments_of(int pid, int tid, size_t *n) {
  enum seen seen = read_cmdline(pid, tid, text, text_room, n);
  if (seen == SEEN && *n == text_room && more_room()) seen = read_cmdline(pid, tid, text, text_room, n);
  return seen;
}

static bool has_no_program(int pid) {
  struct stat_line s;
  enum seen seen = read_stat(pid, &s);
  return seen == GONE || (seen == SEEN && (s.flags & PROC_KTHREAD || s.state == 'Z' || s.state == 'X'));
}
/** The name of its program; GONE: it has none. */
static enum seen exe_of(int pid, char *name, size_t room) {
  char path[40];
  snprintf(path, sizeof path, "/proc/%d/exe", pid);
  ssize_t n = link_of(pid, path, name, room - 1);
  /* safety: F21: ENOENT is also said where memory is short; only who has ended has no program */
  if (n < 0) return has_no_program(pid) ? GONE : NOT_SEEN;
  name[n] = 0;
  const char *slash = strrchr(name, '/');
  if (slash) memmove(name, slash + 1, strlen(slash));
  return SEEN;
}
static enum seen exe_is_qemu(int pid) {
  char name[4096];
  enum seen seen = exe_of(pid, name, sizeof name);
  return seen != SEEN ? seen : is_qemu_name(name) ? SEEN : GONE;
}

/** What is known of a process that is looked at. `whole`: these are all of its arguments. */
struct seen_process { struct key key; struct stat_line stat; struct named named; bool whole; };

/** Arguments win over the record, the record over libvirt's status file. False: it can't be told now. */
static bool epoch_of(struct table *t, int vm, const struct seen_process *p, int64_t *epoch) {
  const struct record *r = record_of((uint32_t)vm);
  char path[400];
  size_t n;
  *epoch = p->named.mark;
  if (p->named.mark >= 0) return true;
  if (r->unreadable) return false;
  if (r->known && r->key.pid == p->key.pid && r->key.start == p->key.start) return *epoch = r->epoch, true;
  /* safety: F35: where memory is short a part of the arguments is missing; the mark of a newer run may be in it */
  if (!p->whole) return false;
  if (!p->named.guest[0] || strchr(p->named.guest, '/')) return true;
  snprintf(path, sizeof path, "/run/libvirt/qemu/%s.xml", p->named.guest);
  if (read_text(path, text, text_room, &n) == SEEN && (n < text_room || more_room())) {
    if (n == FIRST_ROOM && read_text(path, text, text_room, &n) != SEEN) return false;
    *epoch = libvirt_status_epoch(text, n, p->key.pid, t->order->vm[vm].uuid);
  }
  /* safety: F35: only ENOENT says that there is no such file */
  else if (errno != ENOENT) return false;
  return true;
}

static void look_at_qemu(struct table *t, int vm, const struct seen_process *p) {
  struct stat_line again;
  struct key key = p->key;
  int64_t epoch;
  if (p->named.guest[0]) strcpy(t->vm[vm].name, p->named.guest);
  if (p->named.uring && !t->vm[vm].uring) {
    /* safety: F21a: what was flushed before this is worth nothing, also if it dies before it is remembered */
    t->vm[vm].uring = true;
    t->vm[vm].clean = t->vm[vm].scanned = false, t->vm[vm].turn++;
  }
  if (table_find(t, key.pid, key.start)) return;
  enum seen seen = read_stat(key.pid, &again);
  if (seen == GONE) return;
  /* safety: F20: the arguments were read between two looks at the same process, or they may be another's */
  if (seen == NOT_SEEN || again.start != key.start) {
    t->need_look = true;
    if (seen == NOT_SEEN) t->look_ok = false;
    return;
  }
  if (!epoch_of(t, vm, p, &epoch)) {
    t->look_ok = false;
    return;
  }
  if ((again.state == 'Z' || again.state == 'X') && is_dead(key.pid, key.start)) return;
  table_remember(t, key.pid, key.start, vm, epoch, p->named.domain, ROLE_QEMU);
}

/**
 * Does what bears the name of libvirt's daemon belong to the host's own? SEEN: it is that daemon or a child of
 * it that is no qemu yet; GONE: a user's, a container's, or nobody's; NOT_SEEN: it can't be told.
 */
static enum seen is_of_host(const struct seen_process *p) {
  struct owner owner;
  char path[40], program[4096];
  size_t n;
  snprintf(path, sizeof path, "/proc/%d/status", p->key.pid);
  if (read_text(path, text, text_room, &n) != SEEN || n == text_room || !owner_parse(text, n, &owner))
    return is_gone(p->key.pid) ? GONE : NOT_SEEN;
  if (owner.inner) return GONE;
  if (owner.root) return SEEN;
  /* safety: F34: a child gives up root before it becomes a qemu, and may wait like that for storage. It has begun
     no program since it was forked, as no daemon of a user has; and it never bears the daemon's own name. */
  if (!(p->stat.flags & PROC_FORKNOEXEC) || strcmp(p->stat.comm, p->named.base) == 0) return GONE;
  enum seen seen = exe_of(p->key.pid, program, sizeof program);
  if (seen != SEEN || strstr(program, "libvirtd") || strstr(program, "virtqemud")) return seen;
  /* safety: F34: that is the program of the same process only if it has not become a qemu meanwhile */
  seen = arguments_of(p->key.pid, 0, &n);
  if (seen != SEEN) return seen;
  struct named now;
  attribute(text, n, &now);
  return strcmp(now.base, p->named.base) == 0 ? GONE : NOT_SEEN;
}
static void note_daemon(struct table *t, struct key key, const struct stat_line *s, const char *base) {
  /* A process that looks like libvirt's daemon but isn't called so is a qemu not yet exec'd (F34). */
  if (strcmp(s->comm, base) != 0) t->unborn = true;
  else if (t->daemons < MAX_DAEMONS) t->daemon[t->daemons++] = key;
  else t->look_ok = false;
}
static bool is_daemon(const struct named *named) {
  return strcmp(named->base, "libvirtd") == 0 || strcmp(named->base, "virtqemud") == 0;
}
static bool is_qemu(struct table *t, const struct seen_process *p) {
  if (is_qemu_name(p->named.base) || is_qemu_name(p->stat.comm)) return true;
  enum seen exe = exe_is_qemu(p->key.pid);
  /* safety: F21: whose program can't be asked for may be a qemu */
  if (exe == NOT_SEEN && !is_gone(p->key.pid)) t->look_ok = false;
  return exe == SEEN;
}
static void look_at_named(struct table *t, const struct seen_process *p) {
  const struct named *named = &p->named;
  struct key key = p->key;
  if (is_daemon(named)) {
    enum seen seen = is_of_host(p);
    if (seen == SEEN) note_daemon(t, key, &p->stat, named->base);
    /* safety: F21: a daemon that can't be looked at is not one that is not there, nor one to be ended */
    if (seen == NOT_SEEN) t->look_ok = false;
    return;
  }
  if (named->side != SIDE_NONE) sides_note(t, key, named);
  int vm = named->has_vm ? order_find(t->order, named->vm) : -1;
  if (vm >= 0) {
    if (is_qemu(t, p)) look_at_qemu(t, vm, p);
    return;
  }
  vm = records_find(t, key);
  if (vm >= 0) table_remember(t, key.pid, key.start, vm, record_of((uint32_t)vm)->epoch, named->domain, ROLE_QEMU);
  /* safety: F21: a qemu of whose arguments we have not read all can't be attributed */
  else if (!p->whole && !named->has_vm && (is_qemu_name(named->base) || is_qemu_name(p->stat.comm)))
    t->unattributed = true;
}

/** Have we all of the arguments? Where memory is short the kernel gives a part of them, without an error. */
static void take_arguments(struct seen_process *p, size_t n) {
  attribute(text, n, &p->named);
  p->whole = n < text_room && n >= p->stat.arguments;
}
/** Arguments of the first thread that still shows some; false if that could not be looked at. */
static bool thread_arguments(struct seen_process *p) {
  static struct numbers tasks;
  char path[40];
  int tid;
  size_t n;
  enum seen seen;
  snprintf(path, sizeof path, "/proc/%d/task", p->key.pid);
  if (numbers_open(&tasks, path) != SEEN) return is_gone(p->key.pid);
  while ((seen = numbers_next(&tasks, &tid)) == SEEN) {
    seen = arguments_of(p->key.pid, tid, &n);
    if (seen == NOT_SEEN) break;
    take_arguments(p, seen == GONE ? 0 : n);
    if (!p->named.empty) break;
  }
  numbers_close(&tasks);
  return seen != NOT_SEEN || is_gone(p->key.pid);
}
/** A process without readable arguments: a living thread's are read instead, then the record decides. */
static void look_at_nameless(struct table *t, struct seen_process *p) {
  struct key key = p->key;
  int vm = records_find(t, key);
  if (p->stat.flags & PROC_KTHREAD || table_find(t, key.pid, key.start)) return;
  bool like_qemu = strncmp(p->stat.comm, "qemu", 4) == 0;
  if (!like_qemu && p->stat.state != 'Z' && vm < 0) return;
  if (is_dead(key.pid, key.start)) return;
  if (!thread_arguments(p)) t->look_ok = false;
  else if (!p->named.empty) look_at_named(t, p);
  else if (vm >= 0) table_remember(t, key.pid, key.start, vm, record_of((uint32_t)vm)->epoch, -1, ROLE_QEMU);
  /* safety: F21: a qemu that can't be attributed counts as alive for every VM */
  else if (like_qemu && !is_dead(key.pid, key.start)) t->unattributed = true;
}

/** Most processes have nothing to do with the order: their arguments say so, and nothing else is read. */
static bool concerns_us(const struct table *t, int pid, const struct named *named, size_t n) {
  return named->empty || is_daemon(named) || named->side != SIDE_NONE || records_name(pid) ||
         (named->has_vm ? order_find(t->order, named->vm) >= 0 : is_qemu_name(named->base)) ||
         /* safety: F21: arguments end with a zero; without it a part of them may be missing */
         text[n - 1] != 0;
}
/** Is it one that we know? Who is remembered stays so until it is dead, whatever it becomes meanwhile. */
static bool is_remembered(struct table *t, int pid) {
  struct stat_line s;
  if (!(remembered[(pid & 0xffff) >> 3] & 1 << (pid & 7))) return false;
  /* safety: F20: only with the same starttime: the number may be another process's by now */
  return read_stat(pid, &s) == SEEN && table_find(t, pid, s.start);
}
static void look_at(struct table *t, int pid) {
  static struct seen_process p;
  size_t n;
  if (is_remembered(t, pid)) return;
  /* Nothing is kept of other processes from one look to the next: any of them may become a qemu (exec). */
  enum seen seen = arguments_of(pid, 0, &n);
  if (seen == SEEN) {
    attribute(text, n, &p.named);
    if (!concerns_us(t, pid, &p.named, n)) return;
    seen = read_stat(pid, &p.stat);
    /* Read again: now they are surely those of the process with this starttime. */
    if (seen == SEEN) seen = arguments_of(pid, 0, &n);
  }
  /* safety: F21: any error but "gone" means: could not look, and voids the pass */
  if (seen == NOT_SEEN) t->look_ok = false;
  if (seen != SEEN) return;
  p.key = (struct key){pid, p.stat.start};
  take_arguments(&p, n);
  if (p.named.empty) look_at_nameless(t, &p);
  else look_at_named(t, &p);
}

void look(struct table *t) {
  static struct numbers all;
  bool saw_one = false, saw_self = false;
  enum seen seen = NOT_SEEN;
  int pid;
  for (uint32_t v = 0; v < t->order->vms; v++) t->vm[v].unsure = false;
  t->need_look = t->unattributed = t->unborn = false;
  t->look_ok = !t->full;
  t->daemons = 0;
  memset(remembered, 0, sizeof remembered);
  for (uint32_t i = 0; i < t->processes; i++)
    remembered[(t->process[i].pid & 0xffff) >> 3] |= (uint8_t)(1 << (t->process[i].pid & 7));
  t->looked_at = t->now;
  t->looks++;
  records_read(t);
  sides_begin(t);
  if (numbers_open(&all, "/proc") == SEEN) {
    while ((seen = numbers_next(&all, &pid)) == SEEN) {
      saw_one |= pid == 1, saw_self |= pid == t->self;
      look_at(t, pid);
    }
    numbers_close(&all);
  }
  sides_attribute(t);
  /* safety: F21: an empty or partial list of processes is no look */
  if (seen != GONE || !saw_one || !saw_self) t->look_ok = false;
}
