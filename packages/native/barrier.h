#pragma once
// The barrier of F34: "closed up to this epoch", by rename under a lock; it only ever grows.
#include "order.h"

/** Epoch in the file, -1 if there is none; false if it can't be told. */
bool barrier_read(const char *path, int64_t *epoch);
/** Raises the barriers of all VMs in `directory`; new files are written in `temporary` first. */
bool barrier_raise(const struct order *order, const char *directory, const char *temporary, const char *lock, bool synced);
/** As above in the run directory (memory), and reads them back. Safe in the main process. */
bool barrier_memory(const struct order *order, const char *run, const char *temporary);
/** In the state directory, synced. Its disk may hang: only a helper calls this. */
bool barrier_disk(const struct order *order, const char *state, int serial);
