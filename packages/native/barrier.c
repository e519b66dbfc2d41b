#include "barrier.h"
#include "number.h"
#include "procfs.h"
#include "sure.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { ROOM = 4400, FOLDER = 4300 };

bool barrier_read(const char *path, int64_t *epoch) {
  char text[32];
  size_t n;
  *epoch = -1;
  if (read_text(path, text, sizeof text, &n) != SEEN) return errno == ENOENT;
  if (n > 0 && text[n - 1] == '\n') n--;
  return number_parse(text, n, epoch);
}

static int lock_file(const char *path) {
  int lock = sure_open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK);
  if (lock < 0) return -1;
  for (int i = 0; i < 100; i++) { /* one second */
    if (flock(lock, LOCK_EX | LOCK_NB) == 0) return lock;
    nanosleep(&(struct timespec){0, 10000000}, NULL);
  }
  close(lock);
  return -1;
}
/** Files that are written and not yet synced; as many as a process may surely have open. */
struct batch { int file[200], count; };
/* One after the other each would wait for a commit of its own: when the first is synced they are all under way. */
static bool close_batch(struct batch *b, bool synced) {
  bool ok = true;
  for (int i = 0; synced && i < b->count; i++) sync_file_range(b->file[i], 0, 0, SYNC_FILE_RANGE_WRITE);
  /* safety: F34: what counts is that each was synced without an error */
  for (int i = 0; synced && i < b->count; i++) ok = fsync(b->file[i]) == 0 && ok;
  for (int i = 0; i < b->count; i++) ok = close(b->file[i]) == 0 && ok;
  b->count = 0;
  return ok;
}
static bool write_number(struct batch *b, const char *path, int64_t number) {
  char text[32];
  int n = snprintf(text, sizeof text, "%" PRId64 "\n", number);
  int file = sure_open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW);
  if (file < 0) return false;
  b->file[b->count++] = file;
  return sure_write(file, text, (size_t)n) == n;
}
static bool sync_directory(const char *path) {
  int file = sure_open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return false;
  bool ok = fsync(file) == 0;
  close(file);
  return ok;
}
static bool write_all(const struct order *o, const char *directory, const char *temporary, bool synced) {
  struct batch batch = {.count = 0};
  char from[ROOM], to[ROOM];
  bool ok = true;
  int most = synced ? (int)(sizeof batch.file / sizeof *batch.file) : 1;
  for (uint32_t v = 0; v < o->vms; v++) {
    int64_t epoch = -1;
    snprintf(to, sizeof to, "%s/%s", directory, o->vm[v].uuid);
    snprintf(from, sizeof from, "%s/%s", temporary, o->vm[v].uuid);
    ok = ok && barrier_read(to, &epoch);
    /* safety: F34: a barrier only ever grows */
    if (epoch < o->vm[v].epoch) epoch = o->vm[v].epoch;
    ok = ok && write_number(&batch, from, epoch);
    if (batch.count == most) ok = close_batch(&batch, synced) && ok;
  }
  return close_batch(&batch, synced) && ok;
}
static bool raise_all(const struct order *o, const char *directory, const char *temporary, bool synced) {
  char from[ROOM], to[ROOM];
  if (!write_all(o, directory, temporary, synced)) return false;
  for (uint32_t v = 0; v < o->vms; v++) {
    struct stat there;
    snprintf(to, sizeof to, "%s/%s", directory, o->vm[v].uuid);
    snprintf(from, sizeof from, "%s/%s", temporary, o->vm[v].uuid);
    if (stat(to, &there) == 0 && S_ISDIR(there.st_mode)) return false;
    if (sure_rename(from, to) != 0) return false;
  }
  return !synced || sync_directory(directory);
}
bool barrier_raise(const struct order *o, const char *directory, const char *temporary, const char *lock, bool synced) {
  int held = lock_file(lock);
  if (held < 0) return false;
  bool ok = raise_all(o, directory, temporary, synced);
  close(held);
  return ok;
}

bool barrier_memory(const struct order *o, const char *run, const char *temporary) {
  char directory[FOLDER], path[ROOM];
  snprintf(directory, sizeof directory, "%s/barriers", run);
  snprintf(path, sizeof path, "%s/barriers/.lock", run);
  if (!barrier_raise(o, directory, temporary, path, false)) return false;
  for (uint32_t v = 0; v < o->vms; v++) {
    int64_t epoch;
    snprintf(path, sizeof path, "%s/barriers/%s", run, o->vm[v].uuid);
    /* safety: F34: what counts is what stands there now */
    if (!barrier_read(path, &epoch) || epoch < o->vm[v].epoch) return false;
  }
  return true;
}

bool barrier_disk(const struct order *o, const char *state, int serial) {
  char directory[FOLDER], temporary[FOLDER], path[ROOM];
  snprintf(directory, sizeof directory, "%s/barriers", state);
  snprintf(temporary, sizeof temporary, "%s/barriers/.fence.%d", state, serial);
  /* The lock lies in memory (the run directory is given by the helper as the current one). */
  sure_mkdir(state);
  sure_mkdir(directory);
  if (sure_mkdir(temporary) != 0 && errno != EEXIST) return false;
  bool ok = barrier_raise(o, directory, temporary, "barriers/.disk-lock", true);
  for (uint32_t v = 0; v < o->vms; v++) {
    snprintf(path, sizeof path, "%s/%s", temporary, o->vm[v].uuid);
    unlink(path);
  }
  rmdir(temporary);
  return ok;
}
