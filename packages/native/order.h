#pragma once
// The order of the peer: a pure, bounded parser. Nothing of it ever becomes part of a shell line (F18).
#include "limits.h"
#include "uuid.h"

enum mode { MODE_FENCE, MODE_COUNT };
/* The last two are written to through io_uring: looked at as the first two are, and never drained. */
enum kind { KIND_FILE, KIND_BLOCK, KIND_RBD, KIND_NETWORK, KIND_URING_FILE, KIND_URING_BLOCK };

/** `source` as it travelled and `path` decoded: where they begin in the order's text. */
struct disk { enum kind kind; uint32_t vm, source, path; };
struct vm { char uuid[37]; struct uuid id; int64_t epoch; uint32_t first_disk, disks; };

struct order {
  enum mode mode;
  char nonce[65], host[37]; /* host is empty if the order names none */
  char token[33];           /* "-" if it has none */
  int64_t deadline_ms, grace_ms;
  uint32_t count;           /* VMs announced */
  uint32_t vms, all_disks;  /* read so far */
  uint32_t used;
  struct vm vm[MAX_VMS];
  struct disk disk[MAX_ALL_DISKS];
  char text[2 * MAX_INPUT + 4 * MAX_ALL_DISKS];
};

/** Each takes one line without its line feed; NULL, or the words after `refused`. */
const char *order_hello(const char *line, size_t length);
const char *order_head(struct order *order, const char *line, size_t length);
const char *order_vm(struct order *order, const char *line, size_t length);
/** "ping NONCE": true, and the nonce. */
bool order_ping(const char *line, size_t length, char nonce[65]);
/** How large the order is with one more line of this length. */
struct size order_size_with(const struct order *order, size_t length);

static inline const char *disk_source(const struct order *o, uint32_t d) { return o->text + o->disk[d].source; }
static inline const char *disk_path(const struct order *o, uint32_t d) { return o->text + o->disk[d].path; }
/** A path of this host: its name can be asked for, and who has it open. */
static inline bool disk_is_local(const struct order *o, uint32_t d) {
  return o->disk[d].kind != KIND_RBD && o->disk[d].kind != KIND_NETWORK;
}
/** Index of the VM, or -1. */
int order_find(const struct order *order, struct uuid id);
