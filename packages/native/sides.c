#include "sides.h"
#include "look.h"
#include "memory.h"
#include "number.h"
#include "sure.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MAX_SIDES = 2 * MAX_VMS, MAX_SIDE_FILES = 2 * MAX_VMS, FEW = 64 };

static TABLE struct { struct key key; enum side side; struct uuid vm; int64_t domain; char name[MAX_NAME]; } sides[MAX_SIDES];
static uint32_t side_count;
static TABLE struct { int pid; int64_t domain; char name[MAX_NAME]; } side_files[MAX_SIDE_FILES];
static uint32_t side_file_count;
static size_t sides_ready, files_ready;

static bool read_side_file(const char *name) {
  char path[400], text[32];
  size_t n;
  int64_t domain, pid;
  static char of[MAX_NAME];
  if (!libvirt_side_file(name, &domain, of, sizeof of)) return true;
  if (side_file_count == MAX_SIDE_FILES) return false;
  if (!memory_grow(side_files, &files_ready, (side_file_count + 1) * sizeof *side_files)) return false;
  snprintf(path, sizeof path, "/run/libvirt/qemu/%s", name);
  if (read_text(path, text, sizeof text - 1, &n) != SEEN) return errno == ENOENT;
  size_t digits = 0;
  while (digits < n && text[digits] >= '0' && text[digits] <= '9') digits++;
  if (!number_parse(text, digits, &pid) || pid < 1 || pid > INT32_MAX) return true;
  side_files[side_file_count].pid = (int)pid, side_files[side_file_count].domain = domain;
  strcpy(side_files[side_file_count++].name, of);
  return true;
}
/** libvirt keeps virtiofsd's pid under the domain's name; the folder is in memory (/run). */
static bool read_side_files(void) {
  static char buffer[32768];
  int directory = sure_open("/run/libvirt/qemu", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return errno == ENOENT;
  long n;
  bool ok = true;
  while ((n = syscall(SYS_getdents64, directory, buffer, sizeof buffer)) > 0)
    for (long at = 0; at < n;) {
      const struct dirent64 *e = (const struct dirent64 *)(buffer + at);
      at += e->d_reclen;
      if (strlen(e->d_name) < MAX_NAME + 64) ok &= read_side_file(e->d_name);
    }
  close(directory);
  return ok && n == 0;
}
bool sides_room(void) {
  return memory_grow(sides, &sides_ready, FEW * sizeof *sides) &&
         memory_grow(side_files, &files_ready, FEW * sizeof *side_files);
}
void sides_begin(struct table *t) {
  side_count = side_file_count = 0;
  /* safety: F21: a file that can't be read may name a side process of this VM */
  if (!read_side_files()) t->look_ok = false;
}

void sides_note(struct table *t, struct key key, const struct named *named) {
  /* safety: F21: one that can't be noted was not looked at */
  if (side_count == MAX_SIDES || !memory_grow(sides, &sides_ready, (side_count + 1) * sizeof *sides)) {
    t->look_ok = false;
    return;
  }
  sides[side_count].key = key;
  sides[side_count].side = named->side;
  sides[side_count].vm = named->side_vm;
  sides[side_count].domain = named->domain;
  strcpy(sides[side_count++].name, named->side_name);
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
void sides_attribute(struct table *t) {
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

