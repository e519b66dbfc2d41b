#pragma once
// What one fence knows: the order, remembered processes, the state of each VM and disk. Static, bounded.
#include "libvirt.h"
#include "order.h"
#include "procfs.h"

enum role { ROLE_QEMU, ROLE_SIDE, ROLE_START };
enum drained { DRAIN_NONE, DRAIN_QUEUED, DRAIN_RUNS, DRAIN_SOCKETS, DRAIN_SYNCED, DRAIN_DIRECT, DRAIN_NO };
enum granted { GRANT_NONE, GRANT_CLOSED, GRANT_UNREADABLE };

struct process {
  int pid, vm;
  uint64_t start;
  int64_t epoch, domain; /* -1: none */
  enum role role;
  bool live, newer;
};
struct vm_state {
  bool settled, clean, unsure, newer, destroyed, scanned, scanning;
  enum granted granted;
  uint32_t turn, writers;
  int64_t domain;    /* libvirt's number, told after look number `told_at` */
  uint32_t told_at;
  char name[MAX_NAME];
};
struct disk_state { enum drained drained; uint32_t turn, real; /* real name in table.names; 0: as sent */ };
struct writer { int pid; uint32_t vm, disk; char comm[64]; };
struct key { int pid; uint64_t start; };

struct table {
  struct order *order;
  const char *run;   /* the run directory, in memory */
  int self;
  int64_t now, looked_at, stop_at;
  uint32_t looks;
  bool look_ok, need_look, unattributed, unborn, full;
  struct process process[MAX_PROCS];
  uint32_t processes;
  struct vm_state vm[MAX_VMS];
  struct disk_state disk[MAX_ALL_DISKS];
  struct key daemon[MAX_DAEMONS];
  uint32_t daemons;
  struct writer writer[MAX_WRITERS];
  uint32_t writers;
  char names[4194304];
  uint32_t names_used;
};

bool table_any_live(const struct table *t);
bool table_live_of(const struct table *t, int vm);
struct process *table_find(struct table *t, int pid, uint64_t start);
/** Remembers a process of a VM, once; says so. A run newer than the order is never touched. */
void table_remember(struct table *t, int pid, uint64_t start, int vm, int64_t epoch, int64_t domain, enum role role);
