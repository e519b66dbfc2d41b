#include "records.h"
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

enum { FEW = 16 }; /* so many are opened by name; more are looked for in the folder */

static struct record records[MAX_VMS];
static uint8_t named[8192]; /* a bit for each pid modulo 65536: most processes have no record */

bool records_room(struct size size) {
  return memory_ready(records, size.vms * sizeof *records) && memory_ready(named, sizeof named);
}
const struct record *record_of(uint32_t vm) { return &records[vm]; }
bool records_name(int pid) { return named[(pid & 0xffff) >> 3] & 1 << (pid & 7); }

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

static void read_one(struct table *t, uint32_t v) {
  char path[4200];
  struct record *r = &records[v];
  snprintf(path, sizeof path, "%s/runs/%s", t->run, t->order->vm[v].uuid);
  enum seen seen = read_record(path, &r->epoch, &r->key);
  /* safety: F35: a record that can't be read (nonsense is none) may be that of a newer run: no kill on it */
  if (seen == NOT_SEEN && errno != 0) r->unreadable = true, t->look_ok = false;
  if (seen != SEEN) return;
  r->known = true;
  named[(r->key.pid & 0xffff) >> 3] |= (uint8_t)(1 << (r->key.pid & 7));
}
/** Only what is there is opened: most of 500 VMs may have no record. False: the list may not be whole. */
static bool read_listed(struct table *t) {
  static char buffer[16384];
  char path[4200];
  struct uuid id;
  long n;
  snprintf(path, sizeof path, "%s/runs", t->run);
  int directory = sure_open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return errno == ENOENT;
  while ((n = syscall(SYS_getdents64, directory, buffer, sizeof buffer)) > 0)
    for (long at = 0; at < n;) {
      const struct dirent64 *e = (const struct dirent64 *)(buffer + at);
      at += e->d_reclen;
      if (!uuid_is_canonical(e->d_name, strlen(e->d_name)) || !uuid_parse(e->d_name, 36, &id)) continue;
      int vm = order_find(t->order, id);
      if (vm >= 0) read_one(t, (uint32_t)vm);
    }
  close(directory);
  return n == 0;
}
void records_read(struct table *t) {
  memset(named, 0, sizeof named);
  for (uint32_t v = 0; v < t->order->vms; v++) records[v] = (struct record){.epoch = -1};
  if (t->order->vms <= FEW)
    for (uint32_t v = 0; v < t->order->vms; v++) read_one(t, v);
  else if (!read_listed(t)) {
    /* safety: F35: what the list does not show may be the record of a newer run: no kill without it */
    for (uint32_t v = 0; v < t->order->vms; v++) records[v].unreadable = true;
    t->look_ok = false;
  }
}
/* safety: F35: what a record says counts for that pid with that starttime only */
int records_find(const struct table *t, struct key key) {
  if (!records_name(key.pid)) return -1;
  for (uint32_t v = 0; v < t->order->vms; v++)
    if (records[v].known && records[v].key.pid == key.pid && records[v].key.start == key.start) return (int)v;
  return -1;
}
