#include "uuid.h"

static int digit(char c, bool upper) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return upper && c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}
static bool is_dash(size_t at) { return at == 8 || at == 13 || at == 18 || at == 23; }

bool uuid_parse(const char *text, size_t length, struct uuid *out) {
  if (length != 36 && length != 32) return false;
  struct uuid u = {0, 0};
  int n = 0;
  for (size_t i = 0; i < length; i++) {
    if (length == 36 && is_dash(i)) {
      if (text[i] != '-') return false;
      continue;
    }
    int d = digit(text[i], true);
    if (d < 0) return false;
    uint64_t *half = n++ < 16 ? &u.high : &u.low;
    *half = *half << 4 | (uint64_t)d;
  }
  *out = u;
  return true;
}

bool uuid_is_canonical(const char *text, size_t length) {
  if (length != 36) return false;
  for (size_t i = 0; i < length; i++)
    if (is_dash(i) ? text[i] != '-' : digit(text[i], false) < 0) return false;
  return true;
}
