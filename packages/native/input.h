#pragma once
#include <stdbool.h>
#include <stddef.h>
/** Room for lines of an ordinary length; false: memory is short. */
bool input_room(void);
/** One line of standard input without its line feed, within `limit_ms`; else NULL and the words after `refused`. */
const char *input_line(int limit_ms, size_t *length, const char **why);
/** Room for the first lines of an order; false: memory is short. */
bool input_room(void);
/** What follows belongs to a new order: its bound counts anew. */
void input_begin(void);
/** The peer has closed its side and everything is read. Does not wait. */
bool input_ended(void);
/** Something has come that is not given yet. */
bool input_pending(void);
/** What the guest before has left is nobody's any more. */
void input_forget(void);
