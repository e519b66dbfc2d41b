#pragma once
// Starts in flight (F34) and libvirt's word about them.
#include "table.h"

struct libvirt {
  bool asking, daemon_killed;
  int64_t asked_at, ask_until;
  uint32_t unable;        /* questions for which no process could be made */
  uint32_t refused_after; /* looks made before virsh said that nobody is there; 0: it did not */
  struct key doomed[MAX_DAEMONS];
  uint32_t doomed_count;
};
/** Room for an order of this size; false: memory is short. */
bool starts_room(struct size size);
/** Starts by the agent that this order closes are ended; what no answer of libvirt settles is noted. */
void end_grants(struct table *t);
bool all_settled(const struct table *t);
void ask_libvirt(struct table *t, struct libvirt *l, int64_t stop_at);
void hear_libvirt(struct table *t, struct libvirt *l, int ask, int rc);
void tend_libvirt(struct table *t, struct libvirt *l, int64_t stop_at);
