#pragma once
// Whose process is it? Pure: what /proc/PID/status says.
#include <stdbool.h>
#include <stddef.h>

/** `root`: one of its user ids is that of root here. `inner`: it lives in a pid namespace below ours. */
struct owner { bool root, inner; };
/** False for a text that makes no sense. */
bool owner_parse(const char *text, size_t length, struct owner *out);
