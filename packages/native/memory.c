#include "memory.h"
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
enum { PAGE = 4096, SPARE_PIECE = 8192, SPARE_PIECES = 2048 };

/** Shared by all processes that are made after it. */
struct spare { atomic_uint given, next; atomic_bool away[SPARE_PIECES]; };
static struct spare *spare; /* its pages, then the pieces */
static int spare_file;

bool memory_lock(void) {
  /* Tables are as large as the largest order; only what an order touches is taken and locked. */
  return mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0;
}

bool memory_ready(const void *at, size_t length) {
  uintptr_t begin = (uintptr_t)at & ~(uintptr_t)(PAGE - 1), end = (uintptr_t)at + length;
  if (length == 0) return true;
  end = (end + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
  int failed;
  for (int tries = 0; (failed = madvise((void *)begin, end - begin, MADV_POPULATE_WRITE)) != 0; tries++)
    if (!spare_help(errno, tries)) break;
  if (failed == 0) return true;
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

static void touch(volatile char *from, size_t length) {
  for (size_t i = 0; i < length; i += 1024) from[i] = 0;
}
static __attribute__((noinline)) void take_stack(void) {
  volatile char stack[131072];
  touch(stack, sizeof stack);
}
static __attribute__((noinline)) void take_little_stack(void) {
  volatile char stack[65536];
  touch(stack, sizeof stack);
}
/* Of the linker: what is not nothing at first, after what became read-only. */
extern char __data_start[], _edata[];
bool memory_little(void) {
  take_little_stack();
  return memory_ready(&errno, sizeof errno) && memory_ready(__data_start, (size_t)(_edata - __data_start));
}

/* Made by the linker, if there are tables. */
extern char __start_tables[] __attribute__((weak)), __stop_tables[] __attribute__((weak));
static bool writable_ready(uintptr_t from, uintptr_t to) {
  uintptr_t first = (uintptr_t)__start_tables, last = (uintptr_t)__stop_tables;
  if (first < from || last > to || first == last) return memory_ready((void *)from, to - from);
  return memory_ready((void *)from, first - from) && memory_ready((void *)last, to - last);
}
static int own_segment(struct dl_phdr_info *info, size_t size, void *all) {
  bool *ready = all;
  uintptr_t relro = 0; /* writable only while the program begins */
  (void)size;
  for (int i = 0; i < info->dlpi_phnum; i++)
    if (info->dlpi_phdr[i].p_type == PT_GNU_RELRO)
      relro = (info->dlpi_addr + info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz) & ~(uintptr_t)(PAGE - 1);
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *part = &info->dlpi_phdr[i];
    uintptr_t from = info->dlpi_addr + part->p_vaddr, page = from & ~(uintptr_t)(PAGE - 1);
    if (part->p_type != PT_LOAD) continue;
    if (part->p_flags & PF_W) *ready &= writable_ready(from > relro ? from : relro, from + part->p_memsz);
    /* An older kernel fails here; then the text comes when it is needed. */
    else madvise((void *)page, from + part->p_memsz - page, MADV_POPULATE_READ);
  }
  return 0;
}
bool memory_own(void) {
  bool ready = true;
  dl_iterate_phdr(own_segment, &ready);
  take_stack();
  return memory_ready(&errno, sizeof errno) && ready; /* of this thread: elsewhere */
}
static off_t piece_at(unsigned i) { return (off_t)(2 * PAGE) + (off_t)i * SPARE_PIECE; }
bool spare_begin(void) {
  size_t length = (size_t)piece_at(SPARE_PIECES);
  spare_file = memfd_create("spare", MFD_CLOEXEC);
  if (spare_file < 0 || ftruncate(spare_file, (off_t)length) != 0) return false;
  void *at = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, spare_file, 0);
  if (at == MAP_FAILED || !memory_ready(at, length)) return false;
  spare = at;
  return true;
}
bool spare_exists(void) { return spare != NULL; }
bool spare_used(void) { return spare && atomic_load(&spare->given) > 0; }
/** Another piece; false: none is left. */
static bool give_piece(void) {
  for (unsigned n = 0; n < SPARE_PIECES; n++) {
    unsigned i = atomic_fetch_add(&spare->next, 1) % SPARE_PIECES;
    if (atomic_exchange(&spare->away[i], true)) continue;
    atomic_fetch_add(&spare->given, 1);
    /* Through the file: memory that is locked can't be given back through its addresses. */
    return fallocate(spare_file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, piece_at(i), SPARE_PIECE) == 0;
  }
  return false;
}
bool spare_help(int why, int tries) {
  if (!spare || (why != ENOMEM && why != ENFILE && why != ENOBUFS)) return false;
  bool helps = give_piece();
  for (int more = 1; helps && more < 1 << (tries < 4 ? tries : 4); more++) give_piece();
  errno = why;
  return helps;
}
void spare_refill(void) {
  for (unsigned i = 0; spare_used() && i < SPARE_PIECES; i++) {
    if (!atomic_load(&spare->away[i])) continue;
    if (madvise((char *)spare + piece_at(i), SPARE_PIECE, MADV_POPULATE_WRITE) != 0) return;
    if (atomic_exchange(&spare->away[i], false)) atomic_fetch_sub(&spare->given, 1);
  }
}
