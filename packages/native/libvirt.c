#define _GNU_SOURCE 1
#include "libvirt.h"
#include "number.h"
#include <stdio.h>
#include <string.h>

struct line { const char *at; size_t length; };

static bool next_line(const char **at, const char *end, struct line *out) {
  if (*at >= end) return false;
  const char *feed = memchr(*at, '\n', (size_t)(end - *at));
  /* A line without its end may be cut: it says nothing. */
  if (!feed) return false;
  *out = (struct line){*at, (size_t)(feed - *at)};
  *at = feed + 1;
  return true;
}
static bool is(struct line l, const char *word) {
  return l.length == strlen(word) && memcmp(l.at, word, l.length) == 0;
}
static bool starts(struct line l, const char *word) {
  return l.length >= strlen(word) && memcmp(l.at, word, strlen(word)) == 0;
}

/** The VM that virsh does not know by this line, -1 for a harmless line, -2 for any other error. */
static int unknown_vm(const struct order *o, struct line l) {
  static const char WORDS[] = "error: failed to get domain '";
  struct uuid id;
  size_t n = sizeof WORDS - 1;
  if (l.length == 0 || starts(l, "error: Domain not found")) return -1;
  if (!starts(l, WORDS) || l.length != n + 37 || l.at[n + 36] != '\'' || !uuid_is_canonical(l.at + n, 36))
    return -2;
  uuid_parse(l.at + n, 36, &id);
  int vm = order_find(o, id);
  return vm < 0 ? -1 : vm;
}
static void said_of(struct told *t, const struct line *lines, int count) {
  if (count != 3 || lines[0].length >= sizeof t->name) return;
  memcpy(t->name, lines[0].at, lines[0].length);
  t->name[lines[0].length] = 0;
  t->named = true;
  if (!number_parse(lines[1].at, lines[1].length, &t->id)) t->id = -1;
  t->said = is(lines[2], "shut off") || is(lines[2], "crashed") ? SAID_OFF : SAID_ON;
}

void libvirt_answer(const struct order *o, const char *out, size_t out_length, const char *err,
                    size_t err_length, struct told *told) {
  const char *at = err, *end = err + err_length;
  static bool unknown[MAX_VMS];
  bool broken = err_length > 0 && err[err_length - 1] != '\n';
  struct line l, lines[3];
  memset(unknown, 0, sizeof unknown);
  for (uint32_t i = 0; i < o->vms; i++) told[i].said = SAID_NOTHING, told[i].named = false, told[i].id = -1;
  while (next_line(&at, end, &l)) {
    int vm = unknown_vm(o, l);
    if (vm >= 0) unknown[vm] = true;
    if (vm == -2) broken = true;
  }
  int vm = -1, count = 0;
  at = out, end = out + out_length;
  for (bool more = true; more;) {
    struct uuid id;
    more = next_line(&at, end, &l);
    bool head = more && l.length == 38 && memcmp(l.at, "@ ", 2) == 0 && uuid_is_canonical(l.at + 2, 36);
    if (!more || head) {
      if (vm >= 0) said_of(&told[vm], lines, count);
      /* safety: F21: a lookup fails with the same words when the connection breaks: only a clean run counts */
      if (vm >= 0 && count == 0 && unknown[vm] && !broken) told[vm].said = SAID_OFF;
      if (!head) continue;
      uuid_parse(l.at + 2, 36, &id);
      vm = order_find(o, id), count = 0;
    } else if (l.length > 0) {
      if (count < 3) lines[count] = l;
      count++;
    }
  }
}

bool libvirt_refused(const char *err, size_t length) {
  static const char WORDS[] = "failed to connect to the hypervisor";
  return memmem(err, length, WORDS, sizeof WORDS - 1) != NULL;
}

static int64_t epoch_in(const char *at, const char *end) {
  static const char WORD[] = " epoch=";
  while ((at = memmem(at, (size_t)(end - at), WORD, sizeof WORD - 1))) {
    at += sizeof WORD - 1;
    if (at >= end || (*at != '\'' && *at != '"')) continue;
    const char *digits = ++at;
    while (at < end && *at >= '0' && *at <= '9') at++;
    int64_t epoch;
    if (at < end && (*at == '\'' || *at == '"') && number_parse(digits, (size_t)(at - digits), &epoch))
      return epoch;
  }
  return -1;
}
int64_t libvirt_status_epoch(const char *text, size_t length, int pid, const char *uuid) {
  static const char RUN[] = "<fenceline:run";
  char word[32];
  int n = snprintf(word, sizeof word, " pid='%d'", pid);
  if (!memmem(text, length, word, (size_t)n) || !memmem(text, length, uuid, strlen(uuid))) return -1;
  const char *at = text, *end = text + length;
  while ((at = memmem(at, (size_t)(end - at), RUN, sizeof RUN - 1))) {
    const char *close = memchr(at, '>', (size_t)(end - at));
    if (!close) return -1;
    int64_t epoch = epoch_in(at, close);
    if (epoch >= 0) return epoch;
    at = close;
  }
  return -1;
}

bool libvirt_side_file(const char *file, int64_t *domain, char *name, size_t room) {
  const char *dash = file;
  while (*dash >= '0' && *dash <= '9') dash++;
  size_t n = strlen(file);
  if (dash == file || *dash != '-' || n < 8 || strcmp(file + n - 7, "-fs.pid") != 0) return false;
  if (!number_parse(file, (size_t)(dash - file), domain)) return false;
  const char *begin = dash + 1, *end = file + n - 7, *alias = NULL;
  for (const char *c = begin; c < end; c++) {
    if (strncmp(c, "-ua-", 4) == 0 && c + 4 < end) alias = c;
    if (strncmp(c, "-fs", 3) == 0 && c + 3 < end && strspn(c + 3, "0123456789") == (size_t)(end - c - 3)) alias = c;
  }
  if (!alias || alias == begin || (size_t)(alias - begin) >= room) return false;
  memcpy(name, begin, (size_t)(alias - begin));
  name[alias - begin] = 0;
  return true;
}
