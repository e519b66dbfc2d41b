#pragma once
// The host's records of runs: which process is which run (F35).
#include "table.h"

struct record { bool known, unreadable; struct key key; int64_t epoch; };

bool records_room(struct size size);
/** For a new look: the records of the order's VMs. Voids the look if one can't be read. */
void records_read(struct table *t);
const struct record *record_of(uint32_t vm);
/** False: no record names this number. */
bool records_name(int pid);
/** The VM whose record names exactly this process, or -1. */
int records_find(const struct table *t, struct key key);
