#pragma once
// What /proc says: pure parsing of its texts, and thin readers that tell "gone" from "could not look".
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum seen { SEEN, GONE, NOT_SEEN };
#define PROC_EXITING 0x00000004u /* PF_EXITING */
#define PROC_FORKNOEXEC 0x00000040u /* PF_FORKNOEXEC */
#define PROC_KTHREAD 0x00200000u /* PF_KTHREAD */

struct stat_line {
  char comm[64], state;
  int parent, group;
  unsigned flags;
  long threads;
  uint64_t start;
  uint64_t arguments; /* length of what it was started with; 0: not told */
};
bool stat_parse(const char *text, size_t length, struct stat_line *out);
/** flags of /proc/PID/fdinfo/N; false if there is no such line. */
bool fdinfo_flags(const char *text, size_t length, unsigned *flags);
/** True while the text of /proc/net/tcp{,6} shows nothing that a dead process left to be sent. */
bool tcp_line_drained(const char *line, size_t length);
static inline bool is_ending(const struct stat_line *s) {
  return s->state == 'Z' || s->state == 'X' || (s->flags & PROC_EXITING);
}

/** The whole file or its first `room` bytes; SEEN, or NOT_SEEN with errno set. Never blocks on a fifo. */
enum seen read_text(const char *path, char *buffer, size_t room, size_t *length);
enum seen read_stat(int pid, struct stat_line *out);
/** SEEN also for an empty one (a zombie, a process that wiped it, a kernel thread). */
enum seen read_cmdline(int pid, int tid, char *buffer, size_t room, size_t *length);
/** Only the kernel's ESRCH means "gone". */
bool is_gone(int pid);
/*
 * Where memory is short /proc also says ENOENT of what is there: no inode could be made for it. These ask the
 * kernel without a file.
 */
bool is_gone_thread(int pid, int tid);
/** readlink of something of that process or thread, again where memory is short. */
ssize_t link_of(int pid, const char *path, char *to, size_t room);
/** No file of that number in the process or thread (any more). */
bool is_closed(int tid, int file);
/** Gone, its number another's, or a zombie alone; nothing else. */
bool is_dead(int pid, uint64_t start);

/** Entries of a directory that are numbers; NOT_SEEN (errno) if the list may not be whole. */
/* `inode`: of the entry that was told last. */
struct numbers { int directory; char buffer[32768]; long at, filled; uint64_t inode; };
enum seen numbers_open(struct numbers *n, const char *path);
enum seen numbers_next(struct numbers *n, int *number); /* GONE at the end */
void numbers_close(struct numbers *n);
