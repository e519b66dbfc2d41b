#pragma once
#include "list.h"

/** What a domain's XML says, as far as a protected VM is concerned. */
struct domain {
  /** Not what libvirt writes: nothing else here may be believed. NULL: all is plain. */
  const char *odd;
  /** Of the domain. */
  const char *uuid, *name;
  /** The protected VM with this uuid; -1: none. */
  int vm;
  /** A protected VM with another uuid whose disk stands in the XML; -1: none. `disk`: which one. */
  int other_vm;
  const char *disk;
  /** The run's epoch, where both marks are there and agree; else -1. */
  int64_t epoch;
};

/** Are these two names below /dev one device? May be NULL: only texts are compared then. */
typedef bool same_device(const char *path, struct protected_disk *disk);

/** Reads the XML in place; `xml` needs room for one more byte, and must outlive the answer. */
struct domain judge_domain(char *xml, size_t length, struct protected_list *list, same_device *same);
