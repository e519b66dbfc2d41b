#pragma once
// The names and inodes of the disks that writers are looked for of.
#include "table.h"

/** Room for an order of this size; false: memory is short. */
bool names_room(struct size size);
/** The disks of all VMs that are `scanning`. */
void names_collect(const struct table *t);
/** The next disk of this name after `at` (0: the first); 0 if there is none. */
uint32_t names_next(const char *name, uint32_t at, uint32_t *disk);
/** The next disk that is a file with this inode; its device is to be compared. */
uint32_t names_next_inode(const struct table *t, uint64_t inode, uint32_t at, uint32_t *disk);
