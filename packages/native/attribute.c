#define _GNU_SOURCE 1
#include "attribute.h"
#include "number.h"
#include <string.h>

struct argument { const char *at; size_t length; };

static bool next_argument(const char **at, const char *end, struct argument *out) {
  if (*at >= end) return false;
  const char *zero = memchr(*at, 0, (size_t)(end - *at));
  if (!zero) zero = end;
  *out = (struct argument){*at, (size_t)(zero - *at)};
  *at = zero + 1;
  return true;
}
static bool is(struct argument a, const char *word) {
  return a.length == strlen(word) && memcmp(a.at, word, a.length) == 0;
}
static bool starts(struct argument a, const char *word) {
  return a.length >= strlen(word) && memcmp(a.at, word, strlen(word)) == 0;
}
static bool ends(struct argument a, const char *word) {
  size_t n = strlen(word);
  return a.length >= n && memcmp(a.at + a.length - n, word, n) == 0;
}
/** Takes these characters off its end; false: there was none. */
static bool skip_back(struct argument *a, const char *characters) {
  size_t before = a->length;
  while (a->length > 0 && a->at[a->length - 1] && strchr(characters, a->at[a->length - 1])) a->length--;
  return a->length < before;
}
static void copy(char *to, size_t room, const char *from, size_t n) {
  if (n >= room) n = 0; /* too long to be a name of libvirt's */
  memcpy(to, from, n);
  to[n] = 0;
}
static bool is_blank(const char *text, size_t length) {
  for (size_t i = 0; i < length; i++)
    if (text[i] != 0 && !strchr(" \t\n\v\f\r", text[i])) return false;
  return true;
}

bool is_qemu_name(const char *name) {
  return strncmp(name, "qemu-kvm", 8) == 0 || strncmp(name, "qemu-system-", 12) == 0;
}
bool is_name_of_side(const char *side, const char *domain) {
  if (strcmp(side, domain) == 0) return true;
  size_t n = strlen(side), characters = 0;
  for (size_t i = 0; i < n; i++) characters += ((unsigned char)side[i] & 0xc0) != 0x80;
  return characters == 20 && strncmp(side, domain, n) == 0;
}

/** "/domain-N-" : the number, and what follows up to the next "/" or blank. */
static bool find_domain(struct argument a, int64_t *number, struct argument *name) {
  static const char WORD[] = "/domain-";
  const char *at = a.at, *end = a.at + a.length;
  while ((at = memmem(at, (size_t)(end - at), WORD, sizeof WORD - 1))) {
    const char *digits = at += sizeof WORD - 1;
    while (at < end && *at >= '0' && *at <= '9') at++;
    if (at == digits || at == end || *at != '-') continue;
    if (!number_parse(digits, (size_t)(at - digits), number)) continue;
    const char *begin = ++at;
    while (at < end && *at != '/' && *at != ' ') at++;
    *name = (struct argument){begin, at < end && *at == '/' ? (size_t)(at - begin) : 0};
    return true;
  }
  return false;
}
static bool find_swtpm(struct argument a, struct uuid *vm) {
  const char *at = a.at, *end = a.at + a.length;
  while ((at = memmem(at, (size_t)(end - at), "/swtpm/", 7))) {
    at += 7;
    if (end - at > 36 && at[36] == '/' && uuid_is_canonical(at, 36)) return uuid_parse(at, 36, vm);
  }
  return false;
}

static void look_for_side(struct argument a, struct named *out) {
  struct argument name;
  int64_t number;
  if (strcmp(out->base, "swtpm") == 0) {
    if (out->side == SIDE_NONE && find_swtpm(a, &out->side_vm)) out->side = SIDE_BY_VM;
  } else if (strcmp(out->base, "virtiofsd") == 0 || strcmp(out->base, "vhost-user-gpu") == 0) {
    if (out->side == SIDE_NONE) out->side = SIDE_BY_PID;
    if (out->side == SIDE_BY_PID && find_domain(a, &number, &name) && name.length > 0) {
      copy(out->side_name, sizeof out->side_name, name.at, name.length);
      if (out->side_name[0]) out->side = SIDE_BY_NAME;
    }
  }
}
static void take_name(struct argument a, struct named *out, struct argument *by_name) {
  if (!starts(a, "guest=")) return;
  a.at += 6, a.length -= 6;
  const char *comma = memchr(a.at, ',', a.length);
  if (comma) a.length = (size_t)(comma - a.at);
  copy(out->guest, sizeof out->guest, a.at, a.length);
  *by_name = a;
}
static void take_mark(struct argument a, struct named *out) {
  static const char MARK[] = "name=opt/org.fenceline/run,string=";
  if (!starts(a, MARK)) return;
  if (!number_parse(a.at + sizeof MARK - 1, a.length - (sizeof MARK - 1), &out->mark)) out->mark = -1;
}
/** aio=io_uring, or the same in JSON, and so for a driver of that name. */
static bool names_uring(struct argument a) {
  static const char WORD[] = "io_uring";
  const char *end = a.at + a.length;
  for (const char *at = a.at; (at = memmem(at, (size_t)(end - at), WORD, sizeof WORD - 1)); at++) {
    struct argument key = {a.at, (size_t)(at - a.at)};
    skip_back(&key, "\" ");
    if (!skip_back(&key, ":=")) continue;
    skip_back(&key, "\" ");
    if (ends(key, "aio") || ends(key, "driver")) return true;
  }
  return false;
}

void attribute(const char *arguments, size_t length, struct named *out) {
  const char *at = arguments, *end = arguments + length;
  struct argument a, before = {"", 0}, by_uuid = {NULL, 0}, by_name = {NULL, 0}, name;
  memset(out, 0, sizeof *out);
  out->mark = out->domain = -1;
  out->empty = is_blank(arguments, length);
  for (int i = 0; !out->empty && next_argument(&at, end, &a); i++, before = a) {
    if (i == 0) {
      const char *slash = memrchr(a.at, '/', a.length);
      const char *base = slash ? slash + 1 : a.at;
      size_t n = (size_t)(a.at + a.length - base);
      copy(out->base, sizeof out->base, base, n < sizeof out->base ? n : sizeof out->base - 1);
    }
    /* The last of several counts, as in qemu itself. */
    if (i > 0 && is(before, "-name")) take_name(a, out, &by_name);
    if (i > 0 && is(before, "-uuid")) by_uuid = a;
    if (i > 0 && is(before, "-fw_cfg")) take_mark(a, out);
    if (out->domain < 0 && !find_domain(a, &out->domain, &name)) out->domain = -1;
    look_for_side(a, out);
    /* safety: F21a: what the kernel has taken from it outlives it, and no flush waits for that */
    if (names_uring(a)) out->uring = true;
  }
  /* safety: F20: whole arguments are compared, never parts: a longer uuid is another VM */
  struct argument who = by_uuid.at ? by_uuid : by_name;
  out->has_vm = who.at && uuid_parse(who.at, who.length, &out->vm);
}
