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

/** A table that is too large to be there as a whole: its owner says what of it is needed. */
#define TABLE __attribute__((section("tables,\"aw\",@nobits#")))
/** The program's text, and all that it writes to but the tables, so that no page of it is missing later. */
bool memory_own(void);
/** As above for a process that does little: its stack, and what is not nothing at first. */
bool memory_little(void);

/**
 * Memory that is there to be given back, piece by piece, where the kernel has none left for a call of ours;
 * shared with the processes that are made after this. Nobody else's need is served so: the call is repeated
 * in the same moment.
 */
bool spare_begin(void);
bool spare_exists(void);
/** Some of it was given back: every call that fails costs another piece. */
bool spare_used(void);
/**
 * After a call that failed with `why`: something was given back, so it may succeed now. The more often it has been
 * tried already, the more: others wait for memory, too. Keeps errno.
 */
bool spare_help(int why, int tries);
/** Between two orders: what was given back is taken again, as far as it can be had. */
void spare_refill(void);
