#pragma once
#include "table.h"
/**
 * Open files of every process, by name: no access to any storage. Writers of the disks of all VMs that are
 * `scanning` are noted in the table. False: the look is void, somebody may not have been seen.
 */
bool writers_scan(struct table *t, const char *witness);
