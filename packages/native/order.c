#include "order.h"
#include "number.h"
#include <string.h>

struct text { const char *at; size_t length; };

static bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }
static bool is(struct text t, const char *word) {
  return t.length == strlen(word) && memcmp(t.at, word, t.length) == 0;
}
static bool starts(struct text t, const char *word) {
  return t.length >= strlen(word) && memcmp(t.at, word, strlen(word)) == 0;
}
static bool all_hex(struct text t) {
  for (size_t i = 0; i < t.length; i++)
    if (!is_hex(t.at[i])) return false;
  return true;
}
/** Takes the next word; words are parted by spaces or tabs. */
static bool next_word(struct text *rest, struct text *word) {
  while (rest->length > 0 && (*rest->at == ' ' || *rest->at == '\t')) rest->at++, rest->length--;
  size_t n = 0;
  while (n < rest->length && rest->at[n] != ' ' && rest->at[n] != '\t') n++;
  *word = (struct text){rest->at, n};
  rest->at += n, rest->length -= n;
  return n > 0;
}
/** The first KEY=… of the line; unknown fields are ignored. `key` ends with "=". */
static bool field(struct text line, const char *key, struct text *value) {
  struct text word;
  while (next_word(&line, &word))
    if (starts(word, key)) {
      *value = (struct text){word.at + strlen(key), word.length - strlen(key)};
      return true;
    }
  *value = (struct text){"", 0};
  return false;
}

const char *order_hello(const char *line, size_t length) {
  return is((struct text){line, length}, "fenceline-peer 1") ? NULL : "version only protocol 1 is spoken here";
}

static bool grace_parse(struct text t, int64_t *out) { /* [0-9]{1,5}, a zero in front is allowed */
  if (t.length < 1 || t.length > 5) return false;
  int64_t n = 0;
  for (size_t i = 0; i < t.length; i++) {
    if (t.at[i] < '0' || t.at[i] > '9') return false;
    n = n * 10 + t.at[i] - '0';
  }
  *out = n;
  return true;
}
static const char *head_fields(struct order *o, struct text line) {
  struct text v;
  field(line, "token=", &v);
  if (!is(v, "-") && !(v.length == 32 && all_hex(v))) return "bad-token";
  memcpy(o->token, v.at, v.length), o->token[v.length] = 0;
  field(line, "deadline_ms=", &v);
  if (!number_parse(v.at, v.length, &o->deadline_ms)) return "bad-order deadline_ms";
  if (o->deadline_ms < 200 || o->deadline_ms > 300000) return "bad-order deadline_ms out of range";
  o->grace_ms = 300;
  field(line, "grace_ms=", &v);
  if (v.length > 0 && !grace_parse(v, &o->grace_ms)) return "bad-order grace_ms";
  field(line, "host=", &v);
  if (v.length > 0 && !uuid_is_canonical(v.at, v.length)) return "bad-order host";
  memcpy(o->host, v.at, v.length);
  int64_t count;
  field(line, "vms=", &v);
  if (!number_parse(v.at, v.length, &count) || count < 1 || v.length > 3) return "bad-order vms";
  if (count > MAX_VMS) return "too-many vms";
  o->count = (uint32_t)count;
  return NULL;
}

static bool take_nonce(struct text t, char nonce[65]) {
  if (t.length < 16 || t.length > 64 || !all_hex(t)) return false;
  memcpy(nonce, t.at, t.length);
  nonce[t.length] = 0;
  return true;
}
bool order_ping(const char *line, size_t length, char nonce[65]) {
  struct text rest = {line, length};
  if (!starts(rest, "ping ")) return false;
  return take_nonce((struct text){line + 5, length - 5}, nonce);
}
struct size order_size_with(const struct order *o, size_t length) {
  /* A disk is named by "disk=x:y" at least, and kept twice. */
  size_t disks = length / 8 + 1, text = 2 * length + 2 * MAX_DISKS;
  if (disks > MAX_DISKS) disks = MAX_DISKS;
  struct size size = {o->count, o->all_disks + (uint32_t)disks, o->used + text};
  if (size.disks > MAX_ALL_DISKS) size.disks = MAX_ALL_DISKS;
  if (size.text > sizeof o->text) size.text = sizeof o->text;
  return size;
}

const char *order_head(struct order *o, const char *line, size_t length) {
  const char *bad = "bad-order not a fence or count line";
  struct text rest = {line, length};
  if (memchr(line, 0, length)) return bad;
  if (starts(rest, "fence ")) o->mode = MODE_FENCE;
  else if (starts(rest, "count ")) o->mode = MODE_COUNT;
  else return bad;
  rest.at += 6, rest.length -= 6;
  const char *space = memchr(rest.at, ' ', rest.length);
  if (!space) return bad;
  struct text nonce = {rest.at, (size_t)(space - rest.at)};
  if (!take_nonce(nonce, o->nonce)) return bad;
  rest.at += nonce.length, rest.length -= nonce.length;
  memset(o->host, 0, sizeof o->host);
  o->vms = o->all_disks = o->used = 0;
  return head_fields(o, rest);
}

int order_find(const struct order *o, struct uuid id) {
  for (uint32_t i = 0; i < o->vms; i++)
    if (uuid_same(o->vm[i].id, id)) return (int)i;
  return -1;
}

static bool plain(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
         (c != 0 && strchr("._~/@+,:=-", c));
}
static int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}
static bool keep(struct order *o, const char *from, size_t n, uint32_t *at) {
  if (n + 1 > sizeof o->text - o->used) return false;
  *at = o->used;
  memcpy(o->text + o->used, from, n);
  o->text[o->used + n] = 0;
  o->used += (uint32_t)n + 1;
  return true;
}
/** Percent-decodes in place of the copy; no control character can come out of it. */
static bool decode(struct order *o, struct text source, uint32_t *at) {
  if (!keep(o, source.at, source.length, at)) return false;
  char *out = o->text + *at;
  for (size_t i = 0; i < source.length; i++) {
    if (source.at[i] != '%') {
      if (!plain(source.at[i])) return false;
      *out++ = source.at[i];
      continue;
    }
    if (source.length - i < 3) return false;
    int high = hex_value(source.at[i + 1]), low = hex_value(source.at[i + 2]);
    if (high < 2 || low < 0) return false;
    *out++ = (char)(high << 4 | low);
    i += 2;
  }
  *out = 0;
  return true;
}
static bool kind_of(struct text *word, enum kind *kind) {
  static const char *const names[] = {"file:", "block:", "rbd:", "network:", "uring-file:", "uring-block:"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (starts(*word, names[i])) {
      *kind = (enum kind)i;
      word->at += strlen(names[i]), word->length -= strlen(names[i]);
      return true;
    }
  return false;
}
static const char *read_disk(struct order *o, struct text word) {
  struct disk *d = &o->disk[o->all_disks];
  word.at += 5, word.length -= 5;
  d->vm = o->vms;
  if (!kind_of(&word, &d->kind) || word.length == 0 || !keep(o, word.at, word.length, &d->source) ||
      !decode(o, word, &d->path))
    return "bad-disk not kind:percent-encoded-source";
  if (disk_is_local(o, o->all_disks) && o->text[d->path] != '/') return "bad-disk not a path";
  o->all_disks++;
  return NULL;
}

const char *order_vm(struct order *o, const char *line, size_t length) {
  struct text rest = {line, length}, word;
  struct vm *vm = &o->vm[o->vms];
  if (memchr(line, 0, length) || length < 47 || !starts(rest, "vm ") || !uuid_is_canonical(line + 3, 36) ||
      memcmp(line + 39, " epoch=", 7) != 0 || !uuid_parse(line + 3, 36, &vm->id))
    return "bad-vm not a vm line";
  rest.at += 46, rest.length -= 46;
  const char *space = memchr(rest.at, ' ', rest.length);
  size_t n = space ? (size_t)(space - rest.at) : rest.length;
  if (!number_parse(rest.at, n, &vm->epoch)) return "bad-vm not a vm line";
  if (order_find(o, vm->id) >= 0) return "bad-vm the same vm twice";
  rest.at += n, rest.length -= n;
  memcpy(vm->uuid, line + 3, 36);
  vm->uuid[36] = 0;
  vm->first_disk = o->all_disks;
  while (next_word(&rest, &word)) {
    if (!starts(word, "disk=")) continue;
    if (o->all_disks - vm->first_disk >= MAX_DISKS) return "too-many disks";
    const char *why = read_disk(o, word);
    if (why) return why;
  }
  vm->disks = o->all_disks - vm->first_disk;
  o->vms++;
  return NULL;
}
