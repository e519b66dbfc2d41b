#include "look.h"
#include "attribute.h"
#include "number.h"
#include <errno.h>
#include <fcntl.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct record { bool known, unreadable; struct key key; int64_t epoch; };
struct side_seen { struct key key; struct named named; };
enum { MAX_SIDES = 2 * MAX_VMS, MAX_SIDE_FILES = 2 * MAX_VMS };

static struct record records[MAX_VMS];
static uint8_t has_record[8192]; /* a bit for each pid modulo 65536: most processes have no record */
static struct { struct key key; enum side side; struct uuid vm; int64_t domain; char name[MAX_NAME]; } sides[MAX_SIDES];
static uint32_t side_count;
static struct { int pid; int64_t domain; char name[MAX_NAME]; } side_files[MAX_SIDE_FILES];
static uint32_t side_file_count;
static char cmdline[MAX_CMDLINE], file_text[MAX_CMDLINE];

enum seen read_record(const char *path, int64_t *epoch, struct key *key) {
  char text[128];
  size_t n, at[3] = {0}, length[3] = {0};
  if (read_text(path, text, sizeof text, &n) != SEEN) return errno == ENOENT ? GONE : NOT_SEEN;
  errno = 0;
  int words = 0;
  for (size_t i = 0; i < n && text[i] != '\n';) {
    while (i < n && text[i] == ' ') i++;
    if (i == n || text[i] == '\n') break;
    if (words == 3) return NOT_SEEN;
    at[words] = i;
    while (i < n && text[i] != ' ' && text[i] != '\n') i++;
    length[words] = i - at[words], words++;
  }
  int64_t pid, start;
  if (words != 3 || !number_parse(text + at[0], length[0], epoch) || !number_parse(text + at[1], length[1], &pid) ||
      !number_parse(text + at[2], length[2], &start) || pid < 1 || pid > INT32_MAX)
    return NOT_SEEN;
  *key = (struct key){(int)pid, (uint64_t)start};
  return SEEN;
}

static void read_records(struct table *t) {
  char path[4200];
  memset(has_record, 0, sizeof has_record);
  for (uint32_t v = 0; v < t->order->vms; v++) {
    struct record *r = &records[v];
    *r = (struct record){.epoch = -1};
    snprintf(path, sizeof path, "%s/runs/%s", t->run, t->order->vm[v].uuid);
    enum seen seen = read_record(path, &r->epoch, &r->key);
    /* safety: F35: a record that can't be read (nonsense is none) may be that of a newer run: no kill on it */
    if (seen == NOT_SEEN && errno != 0) r->unreadable = true, t->look_ok = false;
    if (seen != SEEN) continue;
    r->known = true;
    has_record[(r->key.pid & 0xffff) >> 3] |= (uint8_t)(1 << (r->key.pid & 7));
  }
}
/* safety: F35: what a record says counts for that pid with that starttime only */
static int vm_of_record(const struct table *t, struct key key) {
  if (!(has_record[(key.pid & 0xffff) >> 3] & 1 << (key.pid & 7))) return -1;
  for (uint32_t v = 0; v < t->order->vms; v++)
    if (records[v].known && records[v].key.pid == key.pid && records[v].key.start == key.start) return (int)v;
  return -1;
}

static void read_side_file(const char *name) {
  char path[400], text[32];
  size_t n;
  if (side_file_count == MAX_SIDE_FILES ||
      !libvirt_side_file(name, &side_files[side_file_count].domain, side_files[side_file_count].name, MAX_NAME)) return;
  snprintf(path, sizeof path, "/run/libvirt/qemu/%s", name);
  if (read_text(path, text, sizeof text - 1, &n) != SEEN) return;
  int64_t pid;
  size_t digits = 0;
  while (digits < n && text[digits] >= '0' && text[digits] <= '9') digits++;
  if (!number_parse(text, digits, &pid) || pid < 1 || pid > INT32_MAX) return;
  side_files[side_file_count++].pid = (int)pid;
}
/** libvirt keeps virtiofsd's pid under the domain's name; the folder is in memory (/run). */
static void read_side_files(void) {
  static char buffer[32768];
  side_file_count = 0;
  int directory = open("/run/libvirt/qemu", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return;
  long n;
  while ((n = syscall(SYS_getdents64, directory, buffer, sizeof buffer)) > 0)
    for (long at = 0; at < n;) {
      const struct dirent64 *e = (const struct dirent64 *)(buffer + at);
      at += e->d_reclen;
      if (strlen(e->d_name) < MAX_NAME + 64) read_side_file(e->d_name);
    }
  close(directory);
}

static bool exe_is_qemu(int pid) {
  char path[40], target[4096];
  snprintf(path, sizeof path, "/proc/%d/exe", pid);
  ssize_t n = readlink(path, target, sizeof target - 1);
  if (n <= 0) return false;
  target[n] = 0;
  const char *slash = strrchr(target, '/');
  return is_qemu_name(slash ? slash + 1 : target);
}

/** Arguments win over the record, the record over libvirt's status file. False: it can't be told now. */
static bool epoch_of(struct table *t, int vm, struct key key, const struct named *named, int64_t *epoch) {
  const struct record *r = &records[vm];
  char path[400];
  size_t n;
  *epoch = named->mark;
  if (named->mark >= 0) return true;
  if (r->unreadable) return false;
  if (r->known && r->key.pid == key.pid && r->key.start == key.start) return *epoch = r->epoch, true;
  if (!named->guest[0] || strchr(named->guest, '/')) return true;
  snprintf(path, sizeof path, "/run/libvirt/qemu/%s.xml", named->guest);
  if (read_text(path, file_text, sizeof file_text, &n) == SEEN)
    *epoch = libvirt_status_epoch(file_text, n, key.pid, t->order->vm[vm].uuid);
  /* safety: F35: only ENOENT says that there is no such file */
  else if (errno != ENOENT) return false;
  return true;
}

static void look_at_qemu(struct table *t, int vm, struct key key, const struct named *named) {
  struct stat_line again;
  int64_t epoch;
  if (named->guest[0]) strcpy(t->vm[vm].name, named->guest);
  if (table_find(t, key.pid, key.start)) return;
  enum seen seen = read_stat(key.pid, &again);
  if (seen == GONE) return;
  /* safety: F20: the arguments were read between two looks at the same process, or they may be another's */
  if (seen == NOT_SEEN || again.start != key.start) {
    t->need_look = true;
    if (seen == NOT_SEEN) t->look_ok = false;
    return;
  }
  if (!epoch_of(t, vm, key, named, &epoch)) {
    t->look_ok = false;
    return;
  }
  if ((again.state == 'Z' || again.state == 'X') && is_dead(key.pid, key.start)) return;
  table_remember(t, key.pid, key.start, vm, epoch, named->domain, ROLE_QEMU);
}

static void note_daemon(struct table *t, struct key key, const struct stat_line *s, const char *base) {
  /* A process that looks like libvirt's daemon but isn't called so is a qemu not yet exec'd (F34). */
  if (strcmp(s->comm, base) != 0) t->unborn = true;
  else if (t->daemons < MAX_DAEMONS) t->daemon[t->daemons++] = key;
  else t->look_ok = false;
}
static void note_side(struct table *t, struct key key, const struct named *named) {
  if (side_count == MAX_SIDES) {
    t->look_ok = false;
    return;
  }
  sides[side_count].key = key;
  sides[side_count].side = named->side;
  sides[side_count].vm = named->side_vm;
  sides[side_count].domain = named->domain;
  strcpy(sides[side_count++].name, named->side_name);
}

static void look_at_named(struct table *t, struct key key, const struct stat_line *s, const struct named *named,
                          bool cut) {
  if (strcmp(named->base, "libvirtd") == 0 || strcmp(named->base, "virtqemud") == 0) {
    note_daemon(t, key, s, named->base);
    return;
  }
  if (named->side != SIDE_NONE) note_side(t, key, named);
  int vm = named->has_vm ? order_find(t->order, named->vm) : -1;
  if (vm >= 0) {
    if (is_qemu_name(named->base) || is_qemu_name(s->comm) || exe_is_qemu(key.pid))
      look_at_qemu(t, vm, key, named);
    return;
  }
  vm = vm_of_record(t, key);
  if (vm >= 0) table_remember(t, key.pid, key.start, vm, records[vm].epoch, named->domain, ROLE_QEMU);
  /* safety: F21: a qemu whose arguments are longer than we read can't be attributed */
  else if (cut && !named->has_vm && (is_qemu_name(named->base) || is_qemu_name(s->comm))) t->unattributed = true;
}

/** Arguments of the first thread that still shows some; false if that could not be looked at. */
static bool thread_arguments(int pid, size_t *length) {
  static struct numbers tasks;
  char path[40];
  int tid;
  enum seen seen;
  struct named named;
  *length = 0;
  snprintf(path, sizeof path, "/proc/%d/task", pid);
  if (numbers_open(&tasks, path) != SEEN) return is_gone(pid);
  while ((seen = numbers_next(&tasks, &tid)) == SEEN) {
    seen = read_cmdline(pid, tid, cmdline, sizeof cmdline, length);
    if (seen == NOT_SEEN) break;
    if (seen == GONE) *length = 0;
    attribute(cmdline, *length, &named);
    if (!named.empty) break;
    *length = 0;
  }
  numbers_close(&tasks);
  return seen != NOT_SEEN || is_gone(pid);
}
/** A process without readable arguments: a living thread's are read instead, then the record decides. */
static void look_at_nameless(struct table *t, struct key key, const struct stat_line *s) {
  size_t n;
  int vm = vm_of_record(t, key);
  struct named named;
  if (s->flags & PROC_KTHREAD || table_find(t, key.pid, key.start)) return;
  bool like_qemu = strncmp(s->comm, "qemu", 4) == 0;
  if (!like_qemu && s->state != 'Z' && vm < 0) return;
  if (is_dead(key.pid, key.start)) return;
  if (!thread_arguments(key.pid, &n)) {
    t->look_ok = false;
    return;
  }
  if (n > 0) {
    attribute(cmdline, n, &named);
    look_at_named(t, key, s, &named, n == sizeof cmdline);
  } else if (vm >= 0) {
    table_remember(t, key.pid, key.start, vm, records[vm].epoch, -1, ROLE_QEMU);
  } else if (like_qemu && !is_dead(key.pid, key.start)) {
    /* safety: F21: a qemu that can't be attributed counts as alive for every VM */
    t->unattributed = true;
  }
}

static void look_at(struct table *t, int pid) {
  struct stat_line s;
  static struct named named;
  size_t n;
  enum seen seen = read_stat(pid, &s);
  if (seen == SEEN) seen = read_cmdline(pid, 0, cmdline, sizeof cmdline, &n);
  /* safety: F21: any error but "gone" means: could not look, and voids the pass */
  if (seen == NOT_SEEN) t->look_ok = false;
  if (seen != SEEN) return;
  struct key key = {pid, s.start};
  attribute(cmdline, n, &named);
  if (named.empty) look_at_nameless(t, key, &s);
  else look_at_named(t, key, &s, &named, n == sizeof cmdline);
}

/** Has this VM a qemu that bears this number of libvirt's? */
static bool has_domain(const struct table *t, uint32_t v, int64_t domain) {
  for (uint32_t i = 0; i < t->processes; i++)
    if (t->process[i].vm == (int)v && domain >= 0 && t->process[i].domain == domain) return true;
  return false;
}
static int vm_by_name(const struct table *t, const char *name, int64_t domain, bool *several) {
  int found = -1;
  for (uint32_t v = 0; v < t->order->vms; v++) {
    /* safety: I3: libvirt cuts names in its paths: a cut name is this VM's only with the number of its qemu */
    if (!t->vm[v].name[0] || !is_name_of_side(name, t->vm[v].name) ||
        (strcmp(name, t->vm[v].name) != 0 && !has_domain(t, v, domain)))
      continue;
    if (found >= 0) *several = true;
    found = (int)v;
  }
  return found;
}
static int vm_of_side(const struct table *t, uint32_t i, bool *several) {
  int vm = -1;
  if (sides[i].side == SIDE_BY_VM) return order_find(t->order, sides[i].vm);
  if (sides[i].side == SIDE_BY_NAME) vm = vm_by_name(t, sides[i].name, sides[i].domain, several);
  for (uint32_t f = 0; vm < 0 && f < side_file_count; f++)
    if (side_files[f].pid == sides[i].key.pid) vm = vm_by_name(t, side_files[f].name, side_files[f].domain, several);
  return vm;
}
/** Side processes are older than their qemu and come first in a pass: whose they are is decided after it. */
static void attribute_sides(struct table *t) {
  char path[4200];
  for (uint32_t i = 0; i < side_count; i++) {
    bool several = false;
    int vm = vm_of_side(t, i, &several);
    struct key key = sides[i].key, start;
    int64_t epoch = -1;
    if (vm < 0 || table_find(t, key.pid, key.start)) continue;
    /* safety: F35: side processes of a VM with a newer run are never touched */
    if (t->vm[vm].newer) continue;
    snprintf(path, sizeof path, "%s/grants/%s", t->run, t->order->vm[vm].uuid);
    enum seen seen = read_record(path, &epoch, &start);
    /* A newer start under way has its side processes before its qemu: whose this is can't be told.
       safety: F35: so it is not killed, and the VM is not dead either */
    if (seen == NOT_SEEN || (seen == SEEN && epoch > t->order->vm[vm].epoch) || several) {
      t->vm[vm].unsure = true;
      continue;
    }
    if (!is_dead(key.pid, key.start)) table_remember(t, key.pid, key.start, vm, -1, -1, ROLE_SIDE);
  }
}

void look(struct table *t) {
  static struct numbers all;
  bool saw_one = false, saw_self = false;
  enum seen seen = NOT_SEEN;
  int pid;
  for (uint32_t v = 0; v < t->order->vms; v++) t->vm[v].unsure = false;
  t->need_look = t->unattributed = t->unborn = false;
  t->look_ok = !t->full;
  t->daemons = 0, side_count = 0;
  t->looked_at = t->now;
  t->looks++;
  read_records(t);
  read_side_files();
  if (numbers_open(&all, "/proc") == SEEN) {
    while ((seen = numbers_next(&all, &pid)) == SEEN) {
      saw_one |= pid == 1, saw_self |= pid == t->self;
      look_at(t, pid);
    }
    numbers_close(&all);
  }
  attribute_sides(t);
  /* safety: F21: an empty or partial list of processes is no look */
  if (seen != GONE || !saw_one || !saw_self) t->look_ok = false;
}
