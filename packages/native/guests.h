#pragma once
// The second way in (F27): sessions over a local socket, for when no login can be made any more.
#include "session.h"

enum { MAX_WORKERS = 16 };
/** Is this process a worker, and its children helpers of this very program? */
bool guests_own(int parent);
/** A worker is before all others on its processor (F27) only as long as it is `urgent`. */
void guests_urgent(bool urgent);
/** This worker's guest has an order that is carried out: nobody takes his place. Or he has none (any more). */
void guests_at_work(bool at_work);
/**
 * Waits until the guest has said something, or this time is over; then it tells how long his line may take. False:
 * he leaves, as others wait, all workers have a guest, and he is the one who has been without an order for longest.
 */
bool guests_wait(int *limit_ms);
/**
 * Serves one guest of RUN/fence.sock after the other, in `workers` processes that are made now and live on; each
 * is made ready by `begin`. Comes back only if that is impossible.
 */
int guests_serve(struct session *session, int workers, bool (*begin)(struct session *session));
