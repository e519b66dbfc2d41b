/* What every operation of labfs goes through first. */
#ifndef FENCELINE_LAB_GATE_H
#define FENCELINE_LAB_GATE_H

enum { CONTROL = 3 };
enum kind { LOOKS, READS, WRITES };

/* Waits as long as a fault says so; 0, or a negative errno for the caller. */
int gate(enum kind kind);

/* Each operation needs an answer of this server (labecho). Call before gate_start. */
void gate_depends_on(const char *address, int port);

/* Takes commands from descriptor CONTROL on, in a thread of its own. */
void gate_start(void);

#endif
