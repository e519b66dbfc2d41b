/*
 * Takes memory page by page until there is none, and then waits for more: it never has enough. Says
 * `begun` first. Run inside a node whose memory is limited.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096 };

int main(void) {
    size_t room = (size_t)1 << 40;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    volatile char *memory = mmap(NULL, room, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (memory == MAP_FAILED) return 1;
    if (write(1, "begun\n", 6) != 6) return 1;
    for (size_t at = 0; at < room; at += PAGE) memory[at] = 1;
    return 0;
}
