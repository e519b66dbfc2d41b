#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** (0|[1-9][0-9]{0,15}), the whole text: the one form of numbers in orders and records. */
static inline bool number_parse(const char *text, size_t length, int64_t *out) {
  if (length < 1 || length > 16 || (length > 1 && text[0] == '0')) return false;
  int64_t n = 0;
  for (size_t i = 0; i < length; i++) {
    if (text[i] < '0' || text[i] > '9') return false;
    n = n * 10 + (text[i] - '0');
  }
  *out = n;
  return true;
}
