#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uuid { uint64_t high, low; };

static inline bool uuid_same(struct uuid a, struct uuid b) { return a.high == b.high && a.low == b.low; }
/** Dashed or 32 hex digits, any case; the whole text, never a part of it (F20). */
bool uuid_parse(const char *text, size_t length, struct uuid *out);
/** Exactly as the protocol writes it: dashed, lower case. */
bool uuid_is_canonical(const char *text, size_t length);
