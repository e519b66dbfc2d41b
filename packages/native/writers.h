#pragma once
#include "table.h"
/** Room for an order of this size; false: memory is short. */
bool writers_room(struct size size);
/**
 * Open files of every process, by name: no access to any storage. Writers of the disks of all VMs that are
 * `scanning` are noted in the table. False: the look is void, somebody may not have been seen.
 */
bool writers_scan(struct table *t, const char *witness);
