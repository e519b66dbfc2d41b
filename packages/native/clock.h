#pragma once
#include <stdint.h>
#define NO_TIME INT64_C(9000000000000000)
/** Milliseconds since boot, sleep included; not the wall clock, which may step. */
int64_t clock_ms(void);
/** Makes the watchdog, so that setting it needs nothing; 0: it is there. */
int clock_begin(void);
/** From then on the kernel ends this process with SIGKILL, wherever it hangs; 0 ms: no longer. */
int clock_watchdog(int64_t at_ms);
