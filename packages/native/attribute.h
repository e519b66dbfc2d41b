#pragma once
// Whose process is it? Pure: what the arguments of a process name. Whole arguments count (F20).
#include "limits.h"
#include "uuid.h"

enum side { SIDE_NONE, SIDE_BY_PID, SIDE_BY_VM, SIDE_BY_NAME };

struct named {
  bool empty;           /* no arguments at all, or only blanks */
  char base[64];        /* last part of argv[0] */
  bool has_vm;
  struct uuid vm;       /* -uuid, else guest= in -name */
  char guest[MAX_NAME]; /* empty if there is none */
  int64_t mark;         /* epoch of F35 in the arguments, or -1 */
  int64_t domain;       /* libvirt's number of this run, or -1 */
  bool uring;           /* it reaches a disk through io_uring */
  enum side side;
  struct uuid side_vm;
  char side_name[MAX_NAME];
};
void attribute(const char *arguments, size_t length, struct named *out);
bool is_qemu_name(const char *name);
/** libvirt cuts the domain's name in paths to 20 characters. */
bool is_name_of_side(const char *side_name, const char *domain_name);
