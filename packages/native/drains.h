#pragma once
// F21a: per writable disk, why nothing can arrive any more.
#include "table.h"
struct report;
/** The VM is clean now: what was flushed before is worth nothing. */
void drains_begin(struct table *t, uint32_t vm);
/** Writers of its disks have been looked for: now they are flushed. */
void drains_queue(struct table *t, uint32_t vm);
/** Writers of its disks can be looked for. */
bool drains_named(const struct table *t, uint32_t vm);
void drains_hear(struct table *t, const struct report *report);
void drains_tend(struct table *t, int64_t forever);
bool drains_waiting(const struct table *t, uint32_t vm);
