#pragma once
// The second way in (F27): sessions over a local socket, for when no login can be made any more.
#include "session.h"

enum { MAX_WORKERS = 16 };
/** Is this process a worker, and its children helpers of this very program? */
bool guests_own(int parent);
/** A worker is before all others on its processor (F27) only as long as it is `urgent`. */
void guests_urgent(bool urgent);
/**
 * Serves one guest of RUN/fence.sock after the other, in `workers` processes that are made now and live on; each
 * is made ready by `begin`. Comes back only if that is impossible.
 */
int guests_serve(struct session *session, int workers, bool (*begin)(struct session *session));
