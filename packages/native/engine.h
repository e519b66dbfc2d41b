#pragma once
#include "starts.h"
#include "table.h"

struct times { int64_t begun, barrier, dead, clean, end; };
struct fence {
  struct table table;
  struct libvirt libvirt;
  struct times times;
  int64_t stop_at, kill_at;
  bool destroying, on_disk, disk_answered;
  uint32_t destroys;
  char witness[4200];
};
/** Closes the runs: look, destroy, kill, verify, settle, drain, scan, drain again, look once more. */
void engine_work(struct fence *f);
/** The rest of the answer is ready; the synced barrier gets a moment. */
void engine_wait_for_disk(struct fence *f);
