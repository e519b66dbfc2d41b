#pragma once
// One peer's session: its orders, one after the other.
#include "engine.h"
#include "self.h"

struct session {
  struct options options;
  struct fence fence;
  struct self self;
  struct order *order;
  const char *control;
  char work_dir[4200]; /* empty while there is none */
};

/** Answers pings and orders until the peer goes away or is silent for too long; the exit status. */
int session_serve(struct session *s);
/** Says why, ends everything, and the program. */
void session_refuse(struct session *s, const char *why) __attribute__((noreturn));
/** Only what a signal handler may call: no helper and no file of ours is left. */
void session_cleanup(struct session *s);
/** Room for an order of this size; false: memory is short. */
bool session_room(struct session *s, struct size size);
