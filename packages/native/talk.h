#pragma once
// What a helper says to libvirt's daemon itself, over a connection that it keeps; virsh serves where that can't be.
#include "slots.h"

enum talked { TALK_DONE, TALK_REFUSED, TALK_NOT };

bool talk_connected(void);
/** The last try to connect came to an end only because it took too long. */
bool talk_hangs(void);
/** Connects, if it is not; TALK_NOT: this can only be done by virsh. */
enum talked talk_ready(const struct workshop *w);
/** As above before there is an order: also what a usual one needs is there then. */
void talk_prepare(const struct workshop *w);
/** Answers the question whose words are for virsh, in virsh's words, where virsh would answer. */
enum talked talk_ask(const struct workshop *w, const struct slot *s);
/** Ends the run that bears the slot's number, if it is of the slot's VM. */
enum talked talk_destroy(const struct workshop *w, const struct slot *s);
