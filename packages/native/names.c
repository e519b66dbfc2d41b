#include "names.h"
#include "memory.h"
#include <string.h>

enum { MAX_NAMES = 131072 };

/** Names of the disks' sources, as sent and as they really are → index into `entries`, by hash. */
static TABLE struct { uint32_t disk, next; const char *name; } entries[2 * MAX_ALL_DISKS + 1];
static TABLE uint32_t heads[MAX_NAMES];
static uint32_t entry_count, head_count = 1;
/** The same by inode; a file has many names. */
static TABLE uint32_t inode_heads[MAX_NAMES], inode_next[MAX_ALL_DISKS + 1];

bool names_room(struct size size) {
  uint32_t wanted = head_count < 1024 ? 1024 : head_count;
  while (wanted < size.disks * 2 && wanted < MAX_NAMES) wanted *= 2;
  if (!memory_ready(heads, wanted * sizeof *heads) || !memory_ready(inode_heads, wanted * sizeof *inode_heads) ||
      !memory_ready(inode_next, ((size_t)size.disks + 1) * sizeof *inode_next) ||
      !memory_ready(entries, (2 * (size_t)size.disks + 1) * sizeof *entries))
    return false;
  head_count = wanted;
  return true;
}

static uint32_t hash_of(const char *text) {
  uint32_t h = 2166136261u;
  for (; *text; text++) h = (h ^ (unsigned char)*text) * 16777619u;
  return h & (head_count - 1);
}
static void add_name(uint32_t disk, const char *name) {
  uint32_t h = hash_of(name);
  entries[++entry_count].disk = disk, entries[entry_count].next = heads[h], entries[entry_count].name = name;
  heads[h] = entry_count;
}
static void add_inode(uint32_t disk, uint64_t inode) {
  uint32_t *head = &inode_heads[inode & (head_count - 1)];
  inode_next[disk + 1] = *head, *head = disk + 1;
}
void names_collect(const struct table *t) {
  memset(heads, 0, head_count * sizeof *heads);
  memset(inode_heads, 0, head_count * sizeof *inode_heads);
  entry_count = 0;
  for (uint32_t d = 0; d < t->order->all_disks; d++) {
    if (!t->vm[t->order->disk[d].vm].scanning || !disk_is_local(t->order, d)) continue;
    add_name(d, disk_path(t->order, d));
    if (t->disk[d].real) add_name(d, t->names + t->disk[d].real);
    if (t->disk[d].identity.inode) add_inode(d, t->disk[d].identity.inode);
  }
}
uint32_t names_next(const char *name, uint32_t at, uint32_t *disk) {
  for (at = at ? entries[at].next : heads[hash_of(name)]; at; at = entries[at].next)
    if (strcmp(entries[at].name, name) == 0) return *disk = entries[at].disk, at;
  return 0;
}
uint32_t names_next_inode(const struct table *t, uint64_t inode, uint32_t at, uint32_t *disk) {
  for (at = at ? inode_next[at] : inode_heads[inode & (head_count - 1)]; at; at = inode_next[at])
    if (t->disk[at - 1].identity.inode == inode) return *disk = at - 1, at;
  return 0;
}
