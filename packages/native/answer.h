#pragma once
// The lines to the peer. A peer that doesn't read can't stop the program: what it doesn't take waits here.
#include "limits.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/** Room for the answer to an order of this size; false: memory is short. */
bool answer_room(struct size size);
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/** Gives the peer what it takes; waits for it up to `until` (0: not at all). */
void answer_flush(int64_t until);
/** The peer has taken everything. */
bool answer_given(void);
void answer_close(void);
/** A new peer has come: what the one before did not take is not for it. */
void answer_forget(void);

struct table;
/** Lines for every disk, writer and VM. Pure apart from saying them. */
void answer_verdicts(const struct table *t, bool on_disk, bool no_barrier);
