#pragma once
// Helper processes, made at set-up: only they start virsh or touch the VMs' storage and the state disk.
// The main process gives them work through shared memory and never waits for one without limit.
#include "order.h"
#include "same.h"

enum { MAX_HELPERS = 640, FIRST_HELPERS = 12, GUEST_HELPERS = 7, SPARE_HELPERS = 4, CONNECTED_HELPERS = 2, ORDER_HELPERS = 4, ASK_FILES = 4, MAX_WORDS = 120000 };
/** Results of a job beside what virsh says. */
enum { KILLED = 123, NO_MEMORY = 124, MAX_UNABLE = 3, MAX_KILLED = 3 };
enum job { JOB_NONE, JOB_ASK, JOB_DESTROY, JOB_NAME, JOB_FLUSH_FILE, JOB_FLUSH_BLOCK, JOB_BARRIER, JOB_HOST, JOB_READY };

struct options {
  char run[2048], state[2048], uri[1024], virsh[2048];
  char socket[108]; /* libvirt's; empty: the usual one */
  bool tokens, never_talks;
  int64_t idle_ms;
};
struct report {
  enum job job;
  int rc;
  uint32_t item, turn;
  const char *text;
  struct identity identity;
  int ask;
  bool late;
};

/** Makes the helpers. Nothing is forked by the main process after this. */
bool helpers_begin(const struct options *options, struct order *order);
/** Room for the questions of an order; false: memory is short. */
bool helpers_room(struct size size);
/** False if there is no free helper now. `until` is when it is ended. */
bool helpers_give(enum job job, uint32_t item, uint32_t turn, int64_t number, int64_t until);
/**
 * More than so many are free now. If not, one more is made where that is possible. An order always needs
 * ORDER_HELPERS: for its barrier, a question, a destroy and a flush.
 */
bool helpers_spare(int keep);
/** While no order is served: two helpers connect to libvirt, or see whether they still are, one after the other. */
void helpers_ready(void);
/** As long as no order has come, when the bell has rung: goes on with that. */
void helpers_tend(void);
/** Before an order: reports of what was done outside of one are nobody's; who has died is replaced. */
void helpers_forget(void);
/** The words for virsh of the next question: written by the main process, read by the helper. */
char *helpers_words(void);
/** Readable when a helper may have ended its work; helpers_heard takes that back. */
int helpers_bell(void);
void helpers_heard(void);
/** Takes one report, if there is one. */
bool helpers_next(int64_t now, struct report *report);
/** What virsh said: out (0) or err (1). */
size_t helpers_said(int ask, int which, char *buffer, size_t room);
bool helpers_own(int pid, int group);
/** The next helper at work on a storage: its disk, and since when. `at` is 0 at first; false: no more. */
bool helpers_at_storage(unsigned *at, uint32_t *disk, int64_t *since);
/**
 * Between two orders: ends what still works for the one before, and has those that have died replaced.
 * How many can't die (a task in D); more than half of them, or of what virsh answers into: -1, no further
 * order can be served.
 */
int helpers_renew(void);
/** Only kill(2): fit for a signal handler. */
void helpers_end(void);
