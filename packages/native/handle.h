#pragma once
// Handles of processes (pidfd): a signal through one never hits a number that became another's, and a
// death wakes the main process at once. Where the kernel has none, numbers and short waits serve.
#include <stdbool.h>
#include <stdint.h>

/** Makes what waits; `bell` is readable when a helper may have ended its work. */
bool handles_begin(int bell);
/** Of the process with this number and starttime; -1 if it can't be had. `index` comes back from handles_wait. */
int handle_open(int pid, uint64_t start, uint32_t index);
void handle_close(int handle);
/** SIGKILL to exactly this process; `handle` may be -1. */
void handle_kill(int handle, int pid, uint64_t start);
/** Until the bell rings, a process dies or the time is over; calls `died` with the index of each that died. */
void handles_wait(int wait_ms, void (*died)(void *context, uint32_t index), void *context);
