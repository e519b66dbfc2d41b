#pragma once
#include "table.h"
/** Room for an order of this size; false: memory is short. */
bool look_room(struct size size);
/** One pass over /proc for all VMs. t->look_ok is false if something could not be looked at: it is void. */
void look(struct table *t);
/** "EPOCH PID START" of a record; GONE if there is none, NOT_SEEN (errno 0: nonsense) otherwise. */
enum seen read_record(const char *path, int64_t *epoch, struct key *key);
