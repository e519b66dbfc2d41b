#pragma once
// What one fence knows: the order, remembered processes, the state of each VM and disk. Static, bounded.
#include "libvirt.h"
#include "order.h"
#include "procfs.h"
#include "same.h"

enum role { ROLE_QEMU, ROLE_SIDE, ROLE_START };
enum drained { DRAIN_NONE, DRAIN_QUEUED, DRAIN_RUNS, DRAIN_SOCKETS, DRAIN_SYNCED, DRAIN_DIRECT, DRAIN_NO, DRAIN_URING };
/** Writers are looked for by the real name: it is asked for while the VM is being killed. */
enum naming { NAME_WANTED, NAME_ASKED, NAME_TOLD };
enum granted { GRANT_NONE, GRANT_CLOSED, GRANT_UNREADABLE };

struct process {
  int pid, vm;
  uint64_t start;
  int64_t epoch, domain; /* -1: none */
  enum role role;
  bool live, newer, woken; /* woken: its handle says that it died; /proc has the last word */
  int handle;
};
struct vm_state {
  uint32_t live; /* its processes that live */
  bool settled, clean, unsure, newer, destroyed, scanned, scanning;
  bool rescanned; /* because a flush took long */
  bool uring;     /* its qemu reached a disk through io_uring */
  bool unknown;   /* to libvirt, which has told so: there is nothing to destroy */
  enum granted granted;
  uint32_t turn, writers;
  int64_t domain;    /* libvirt's number, told after look number `told_at` */
  uint32_t told_at;
  char name[MAX_NAME];
};
struct disk_state {
  enum drained drained;
  enum naming naming;
  uint8_t killed;      /* so many helpers were, at work for it */
  bool again;          /* its flush was begun before, and came to nothing */
  int64_t begun;       /* its flush */
  uint32_t turn, real; /* real name in table.names; 0: as sent */
  struct identity identity;
};
struct writer { int pid; uint32_t vm, disk; char comm[64]; };
struct key { int pid; uint64_t start; };

struct table {
  struct order *order;
  const char *run;   /* the run directory, in memory */
  int self;
  int64_t now, looked_at, stop_at;
  uint32_t looks, live;
  bool look_ok, need_look, unattributed, unborn, full;
  uint32_t processes, daemons, writers, names_used, names_room;
  /* What is in use of these is told above; of `vm` and `disk`, as much as the order has. */
  struct process process[MAX_PROCS];
  struct vm_state vm[MAX_VMS];
  struct disk_state disk[MAX_ALL_DISKS];
  struct key daemon[MAX_DAEMONS];
  struct writer writer[MAX_WRITERS];
  char names[4194304];
};

/** Room for an order of this size; false: memory is short. */
bool order_room(struct order *order, struct size size);
bool table_room(struct table *t, struct size size);
/** Nothing of an order before is left in it. */
void table_begin(struct table *t, struct order *order, const char *run);
void table_end(struct table *t);
static inline bool table_any_live(const struct table *t) { return t->live > 0; }
static inline bool table_live_of(const struct table *t, uint32_t vm) { return t->vm[vm].live > 0; }
/** It is dead, or taken off what this order closes. */
void table_no_longer_live(struct table *t, struct process *p);
struct process *table_find(struct table *t, int pid, uint64_t start);
/** Remembers a process of a VM, once; says so. A run newer than the order is never touched. */
void table_remember(struct table *t, int pid, uint64_t start, int vm, int64_t epoch, int64_t domain, enum role role);
