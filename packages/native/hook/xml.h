#pragma once
#include <stdbool.h>
#include <stddef.h>

#define XML_DEPTH 48
#define XML_ATTRIBUTES 64

struct xml_attribute { const char *name, *value; };
struct xml_element {
  const char *name;
  int attributes;
  struct xml_attribute attribute[XML_ATTRIBUTES];
};
/** Names of the open elements, the root first; depth counts them. */
struct xml_path { int depth; const char *name[XML_DEPTH]; };

struct xml_reader {
  void *context;
  /** An element begins; it is the last one of the path. */
  void (*open)(void *context, const struct xml_path *path, const struct xml_element *element);
  /** A piece of text, entities resolved. `whole`: all that the element of the path holds. */
  void (*text)(void *context, const struct xml_path *path, const char *text, bool whole);
};

/**
 * Reads a document strictly and changes it in place (names, values and texts end with NUL then).
 * `text` needs room for one more byte. False: not well-formed, a doctype, too deep, or with bytes
 * that no XML has; what was told until then must not be believed.
 */
bool xml_read(char *text, size_t length, const struct xml_reader *reader);
/** Value of an attribute; NULL: it is not there. */
const char *xml_value(const struct xml_element *element, const char *name);
/** The path is exactly this, as `domain/devices/disk`. */
bool xml_at(const struct xml_path *path, const char *names);
