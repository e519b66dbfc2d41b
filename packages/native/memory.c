#include "memory.h"
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif
enum { PAGE = 4096 };

bool memory_lock(void) {
  /* Tables are as large as the largest order; only what an order touches is taken and locked. */
  return mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0;
}

bool memory_ready(const void *at, size_t length) {
  uintptr_t begin = (uintptr_t)at & ~(uintptr_t)(PAGE - 1), end = (uintptr_t)at + length;
  if (length == 0) return true;
  end = (end + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
  if (madvise((void *)begin, end - begin, MADV_POPULATE_WRITE) == 0) return true;
  /* safety: F26: memory that is short now is a refusal now, not a process that ends in the middle */
  if (errno != EINVAL) return false;
  /* An older kernel: touching a page is all that can be done. */
  for (volatile char *page = (volatile char *)begin; (uintptr_t)page < end; page += PAGE) *page = *page;
  return true;
}
bool memory_grow(const void *table, size_t *ready, size_t wanted) {
  if (wanted <= *ready) return true;
  if (!memory_ready((const char *)table + *ready, wanted - *ready)) return false;
  *ready = wanted;
  return true;
}
