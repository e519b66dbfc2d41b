#pragma once
// F21a: per writable disk, why nothing can arrive any more.
#include "table.h"
struct report;
void drains_queue(struct table *t, uint32_t vm);
void drains_again(struct table *t, uint32_t vm);
void drains_hear(struct table *t, const struct report *report);
void drains_tend(struct table *t, int64_t forever);
bool drains_waiting(const struct table *t, uint32_t vm);
