#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum disk_kind { DISK_PATH, DISK_RBD, DISK_NETWORK };

struct protected_disk {
  enum disk_kind kind;
  /** A path in its shortest spelling; `pool/image`; or the name behind the protocol. */
  const char *source;
  /** DISK_NETWORK only. */
  const char *protocol;
  int vm;
  /** Device number of a path below /dev, once somebody has looked; 0: none. */
  uint64_t device;
};
struct protected_list {
  int vms, disks;
  const char **uuid;
  struct protected_disk *disk;
};

/**
 * Reads a protected list and changes its text in place; NULL if it is whole, else what is wrong.
 * `text` needs room for one more byte.
 */
const char *list_read(char *text, size_t length, struct protected_list *list);
void list_free(struct protected_list *list);
/** The shortest spelling of an absolute path, in place: no `//`, `/./` and `/../`. Text only. */
void path_shorten(char *path);
/** Dashed, lower case, nothing else. */
bool is_uuid(const char *text);
/** (0|[1-9][0-9]{0,14}), the whole text. */
bool read_number(const char *text, int64_t *out);
