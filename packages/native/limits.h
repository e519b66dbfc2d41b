#pragma once
// Every buffer and every wait of the program has its bound here.
#include <stddef.h>
#include <stdint.h>
#define MAX_LINE 262144       /* one line of the order */
#define MAX_INPUT 4194304     /* the whole order */
#define MAX_VMS 500
#define MAX_DISKS 64          /* of one VM */
#define MAX_ALL_DISKS (MAX_VMS * MAX_DISKS)
#define MAX_PROCS 4096        /* remembered processes */
#define MAX_DAEMONS 64
#define MAX_WRITERS 1024
#define MAX_DRAINS 16         /* flushes at work that do not hang yet */
#define MAX_DESTROYS 32
#define MAX_CMDLINE 262144
#define MAX_NAME 256
#define LOOK_EVERY 250        /* ms; what was started meanwhile is found while there is time to end it */
#define ASK_FIRST 60          /* ms; a destroy holds the VM's lock for 200 ms, so libvirt is asked before */
#define ORDER_MS 30000        /* an order has come whole by then, or it is none */
#define LINE_MS 10000         /* so has a line, once it has begun */
#define MIN_STAY 2000         /* ms; a guest without an order to carry out leaves after that, if others wait */
#define FREE_EVERY 200        /* ms; what needs no order token is served this often, */
#define FREE_AT_ONCE 5        /* and so many of it at once after a rest */
#define VOIDS_AT_ONCE 3       /* void looks or scans that are repeated without a pause */
#define VOID_PAUSE 10         /* ms; after them, and twice as long each time, */
#define MAX_VOID_PAUSE 80     /* up to this */
#define IDLE_SEC 180          /* without an order or a ping */

/**
 * How large an order is. Tables are made for the largest one, but their pages are taken as far as an
 * order needs them (memory.h): before it is accepted, or it is refused.
 */
struct size { uint32_t vms, disks; size_t text; };
/** There from the beginning: whatever the memory of the host is like later, this much is served. */
static const struct size FIRST_SIZE = {64, 256, 131072};
