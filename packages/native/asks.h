#pragma once
// Files that virsh's answers go to: whoever was ended while it answered may still write there, so that one is left alone.
#include "slots.h"

/** Where the next question's answer goes. */
int asks_place(void);
/** That place, emptied; -1: there is none. */
int asks_next(const struct workshop *w);
/** Processes of this group may still write there. */
void asks_lose(int ask, int group);
/** Those are free again of whose group nobody is left. */
void asks_free(void);
int asks_lost(void);
size_t asks_said(const struct workshop *w, int ask, int which, char *buffer, size_t room);
