#pragma once
// What the program needs later is there, and locked, before it is needed (F26).
#include <stdbool.h>
#include <stddef.h>

/** From now on every page that is touched stays in memory; true if the kernel allows it. */
bool memory_lock(void);
/** The pages are there now. False: memory is short, and nothing may rely on them. */
bool memory_ready(const void *at, size_t length);
/** As above for a table of which the first `*ready` bytes are there: costs nothing if that is enough. */
bool memory_grow(const void *table, size_t *ready, size_t wanted);
