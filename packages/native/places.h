#pragma once
// On which storage does a path lie? By names alone: a storage that hangs is not asked.
#include <stdbool.h>
#include <stddef.h>

/** Reads which mounts there are; what does not fit is left out. */
void places_read(void);
/** A number for the mount on which a path lies by its name; 0: not known, as a place of its own. */
int place_of(const char *path);
/** Takes one line of mountinfo; false: there is no room for it, or it is none. */
bool places_take(const char *line, size_t length);
void places_forget(void);
