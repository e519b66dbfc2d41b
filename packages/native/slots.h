#pragma once
// What the main process and its helpers share, and what a helper does. For those who are helpers, and helpers.c.
#include "helpers.h"
#include <stdatomic.h>

/** One helper and its work. The atomic fields are those that both sides change. */
struct slot {
  atomic_int pid; /* 0: none yet, or none any more */
  atomic_uint wanted, given, done;
  enum job job;
  uint32_t item, turn;
  int64_t number;
  int ask, rc;
  bool connected; /* to libvirt: it is asked first */
  struct identity identity;
  char text[4096];
};
struct shared {
  struct slot slot[MAX_HELPERS];
  atomic_uint asked; /* grows when the spawner has something to do */
  char words[ASK_FILES][MAX_WORDS];
};
/** What a helper inherits. */
struct workshop {
  const struct options *options;
  struct order *order;
  struct shared *shared;
  int ask_file[ASK_FILES][2], main_pid, bell, null_file;
};

/** What a helper does until it ends. */
void helper_main(const struct workshop *w, struct slot *s) __attribute__((noreturn));
/** Makes helpers when it is asked to. */
void spawner_main(const struct workshop *w) __attribute__((noreturn));
void slots_wake(atomic_uint *word);
/** Does the slot's job, in the helper; its result is the slot's `rc`. */
int do_job(const struct workshop *w, struct slot *s);
