/* The supervisor that a node's pid 1 becomes once the node's mounts stand. */
#ifndef FENCELINE_LAB_INIT_H
#define FENCELINE_LAB_INIT_H

enum { CONTROL = 3 };

/* Sends one line to the lab's daemon. */
__attribute__((format(printf, 1, 2))) void tell(const char *format, ...);

/* Reaps, starts and restarts services as the daemon says; ends when the daemon is gone. */
__attribute__((noreturn)) void supervise(void);

#endif
