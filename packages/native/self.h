#pragma once
// Who we are: what the last line of an answer says, so that a peer knows whom it has heard (F22).
#include "helpers.h"

struct self { char host[40], boot[40], pidns[24]; };
/** NULL, or the control that failed. */
const char *self_read(struct self *self, const struct options *options);
