#pragma once
#include <stddef.h>
/** One line of standard input without its line feed, within `limit_ms`; else NULL and the words after `refused`. */
const char *input_line(int limit_ms, size_t *length, const char **why);
