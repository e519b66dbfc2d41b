#include "owner.h"
#include "number.h"
#include <string.h>

/** The words of the line that begins so; NULL: there is none, or its end is cut off. */
static const char *line_of(const char *text, size_t length, const char *name, size_t *n) {
  const char *at = text, *end = text + length;
  while (at < end) {
    const char *line_end = memchr(at, '\n', (size_t)(end - at));
    if (!line_end) return NULL;
    size_t word = strlen(name);
    if ((size_t)(line_end - at) > word && memcmp(at, name, word) == 0) return *n = (size_t)(line_end - at) - word, at + word;
    at = line_end + 1;
  }
  return NULL;
}
/** How many numbers stand there; -1: something else does, too. */
static int count_numbers(const char *at, size_t n, bool *zero) {
  int count = 0;
  for (size_t i = 0; i < n;) {
    if (at[i] == '\t' || at[i] == ' ') {
      i++;
      continue;
    }
    size_t begin = i;
    int64_t number;
    while (i < n && at[i] != '\t' && at[i] != ' ') i++;
    if (!number_parse(at + begin, i - begin, &number)) return -1;
    *zero |= number == 0;
    count++;
  }
  return count;
}

bool owner_parse(const char *text, size_t length, struct owner *out) {
  size_t n;
  bool ignored = false;
  *out = (struct owner){false, false};
  const char *uids = line_of(text, length, "Uid:", &n);
  if (!uids || count_numbers(uids, n, &out->root) != 4) return false;
  /* Its number in each namespace from ours on; kernels before 4.1 have no such line, and then it is taken for ours. */
  const char *pids = line_of(text, length, "NSpid:", &n);
  int levels = pids ? count_numbers(pids, n, &ignored) : 1;
  out->inner = levels > 1;
  return levels > 0;
}
