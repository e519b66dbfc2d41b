#pragma once
#include "starts.h"
#include "table.h"

struct times { int64_t begun, barrier, dead, clean, end; };
struct fence {
  struct table table;
  /* All that follows is of one order. */
  struct libvirt libvirt;
  struct times times;
  int64_t stop_at, kill_at, checked_at, scanned_at;
  int64_t ready_at, others_at; /* the first VM could be scanned for; one of the others was ready */
  uint32_t others;
  bool destroying, on_disk, disk_answered;
  uint32_t destroys;
  uint32_t barriers; /* helpers that were killed while they set it on disk */
  uint32_t voids, void_scans; /* looks and scans that came to nothing, in a row */
  int witness_file;
  char witness_path[4300], witness[4200]; /* the name that /proc/self/fd shows; empty: not known yet */
};
/** Nothing of an order before is left in it. */
void engine_begin(struct fence *f);
/** Closes the runs: look, destroy, kill, verify, settle, drain, scan, drain again, look once more. */
void engine_work(struct fence *f);
/** The rest of the answer is ready; the synced barrier gets a moment. */
void engine_wait_for_disk(struct fence *f);
