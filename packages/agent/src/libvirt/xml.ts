import { messageOf } from '@fenceline/common';
import { DomainError } from '@fenceline/protocol';
import { DOMParser, XMLSerializer, type Document, type Element, type Node } from '@xmldom/xmldom';

const ELEMENT = 1;
const CDATA = 4;
const PROCESSING_INSTRUCTION = 7;

/**
 * Parses a document. What is checked on the result is what libvirt gets, as the result is written
 * out again; doctype, entities of one's own, CDATA and processing instructions have no place there.
 * @throws DomainError BAD_INPUT for anything that is not plain, well-formed XML.
 */
export function parseXml(text: string): { document: Document; root: Element } {
  let document: Document;
  try {
    document = new DOMParser({ onError: refuse }).parseFromString(text, 'text/xml');
  } catch (error) {
    throw bad(messageOf(error).split('\n')[0] ?? '');
  }
  const root = document.documentElement;
  if (root === null) throw bad('there is no element');
  if (document.doctype !== null) throw bad('a doctype is refused');
  for (const node of everyNode(root))
    if (node.nodeType === CDATA || node.nodeType === PROCESSING_INSTRUCTION)
      throw bad('CDATA and processing instructions are refused');
  return { document, root };
}

/** The element and all below it, without the XML declaration. */
export function writeXml(root: Element): string {
  return new XMLSerializer().serializeToString(root);
}

/** Every element of the tree, the root first. */
export function everyElement(root: Element): Element[] {
  return [...everyNode(root)].filter(isElement);
}

/** Elements right below another one, by name. */
export function childElements(parent: Element, name: string): Element[] {
  return children(parent).filter(
    (node): node is Element => isElement(node) && node.nodeName === name,
  );
}

/** All elements right below another one. */
export function elementsBelow(parent: Element): Element[] {
  return children(parent).filter(isElement);
}

/** Text of an element, trimmed. */
export function textOf(element: Element): string {
  return (element.textContent ?? '').trim();
}

/** Warnings too: what one parser forgives, another may read in its own way. */
function refuse(level: string, message: string): never {
  throw new Error(`${level}: ${message}`);
}

function isElement(node: Node): node is Element {
  return node.nodeType === ELEMENT;
}

function children(parent: Node): Node[] {
  const found: Node[] = [];
  for (let node = parent.firstChild; node !== null; node = node.nextSibling) found.push(node);
  return found;
}

function* everyNode(root: Node): Generator<Node> {
  const left = [root];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    yield next;
    left.push(...children(next).toReversed());
  }
}

function bad(why: string): DomainError {
  return new DomainError('BAD_INPUT', `domainXml: ${why.slice(0, 300)}`);
}
