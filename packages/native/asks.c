#include "asks.h"
#include <errno.h>
#include <signal.h>
#include <unistd.h>

static int next;
static bool lost[ASK_FILES];
static int group_of[ASK_FILES];

int asks_place(void) {
  for (int i = 0; i < ASK_FILES && lost[next]; i++) next = (next + 1) % ASK_FILES;
  return next;
}
int asks_next(const struct workshop *w) {
  if (lost[asks_place()]) return -1;
  for (int i = 0; i < 2; i++) {
    int file = w->ask_file[next][i];
    if (ftruncate(file, 0) != 0 || lseek(file, 0, SEEK_SET) != 0) return -1;
  }
  return next;
}
void asks_lose(int ask, int group) { lost[ask] = true, group_of[ask] = group; }
void asks_free(void) {
  for (int i = 0; i < ASK_FILES; i++)
    if (lost[i] && kill(-group_of[i], 0) != 0 && errno == ESRCH) lost[i] = false;
}
int asks_lost(void) {
  int count = 0;
  for (int i = 0; i < ASK_FILES; i++) count += lost[i];
  return count;
}
size_t asks_said(const struct workshop *w, int ask, int which, char *buffer, size_t room) {
  size_t length = 0;
  ssize_t n;
  while (length < room && (n = pread(w->ask_file[ask][which], buffer + length, room - length, (off_t)length)) > 0)
    length += (size_t)n;
  return length;
}
