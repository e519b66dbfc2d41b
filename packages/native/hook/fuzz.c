// Changes known inputs at random, always in the same order, and gives them to the pure parts. Beside what
// the sanitizers find, one thing must hold: a change never makes a marked run out of an unmarked one, nor
// another VM out of a protected one's disk, unless the reader says that the domain is odd.
#include "judge.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VM "11111111-2222-4333-8444-555555555555"
static const char list_seed[] = "fenceline-protected 1\nvm " VM "\ndisk file:/srv/vm1.img\ndisk rbd:pool/a%20b\ndisk network:nbd:x\nend 1\n";
static const char xml_seed[] =
    "<?xml version='1.0'?><domain type='kvm' xmlns:q='u'><!-- c --><name>vm1</name><uuid>aaaaaaaa-2222-4333-8444-555555555555</uuid>"
    "<metadata><f:run xmlns:f=\"https://fenceline.org/xmlns/run/1\" epoch=\"7\"/><x:y xmlns:x='z'><![CDATA[ & ]]></x:y></metadata>"
    "<sysinfo type='fwcfg'><entry name='opt/org.fenceline/run'>8</entry></sysinfo><devices><disk type='file' device='disk'>"
    "<source file='/srv/vm2.img' index='1'/><target dev='vda'/></disk><disk><source protocol='rbd' name='pool/a&#x20;c'/></disk></devices></domain>";

static uint64_t state = 88172645463325252ULL;
static uint32_t next(uint32_t below) {
  state ^= state << 13, state ^= state >> 7, state ^= state << 17;
  return (uint32_t)((state >> 16) % below);
}

/** A changed copy on the heap, with room for exactly one more byte. */
static char *mutate(const char *seed, size_t *length) {
  static const char *const bits[] = {"<", ">", "/>", "&", "&amp;", "'", "\"", "=", "<!--", "-->", "]]>", "<![CDATA[", "<?", "?>", "\n", "%", "end ", "vm ", "/", "..", "&#", ";", "<uuid>"};
  char work[4096];
  size_t n = strlen(seed);
  memcpy(work, seed, n);
  for (uint32_t changes = 1 + next(4); changes > 0; changes--) {
    size_t at = n ? next((uint32_t)n) : 0;
    uint32_t kind = next(4);
    if (kind == 0 && n) work[at] = (char)next(256);
    if (kind == 1 && n) {
      size_t cut = next((uint32_t)(n - at < 40 ? n - at : 40) + 1);
      memmove(work + at, work + at + cut, n - at - cut), n -= cut;
    }
    const char *bit = kind == 2 ? bits[next(sizeof bits / sizeof *bits)] : NULL;
    if (bit && n + strlen(bit) < sizeof work) memmove(work + at + strlen(bit), work + at, n - at), memcpy(work + at, bit, strlen(bit)), n += strlen(bit);
    if (kind == 3 && n) n = next(8) == 0 ? at : n;
  }
  char *copy = malloc(n + 1);
  memcpy(copy, work, n);
  *length = n;
  return copy;
}

int main(int argc, char **argv) {
  long rounds = argc > 1 ? atol(argv[1]) : 200000, believed = 0;
  for (long i = 0; i < rounds; i++) {
    size_t list_length = strlen(list_seed), xml_length;
    bool change_list = next(4) == 0;
    char *list_text = change_list ? mutate(list_seed, &list_length) : memcpy(malloc(list_length + 1), list_seed, list_length);
    char *xml = mutate(xml_seed, &xml_length);
    struct protected_list list = {0};
    if (!list_read(list_text, list_length, &list)) {
      struct domain domain = judge_domain(xml, xml_length, &list, NULL);
      believed += !domain.odd;
      // The seed's marks differ by one digit: they agree only after a change of that very digit.
      if (domain.epoch != -1 && domain.epoch != 7 && domain.epoch != 8) return printf("round %ld: run %lld\n", i, (long long)domain.epoch), 1;
      if (domain.odd && (domain.vm != -1 || domain.other_vm != -1 || domain.epoch != -1)) return printf("round %ld: odd, and believed\n", i), 1;
    }
    list_free(&list), free(list_text), free(xml);
  }
  printf("%ld rounds, %ld of them plain\n", rounds, believed);
  return believed > 0 ? 0 : 1;
}
