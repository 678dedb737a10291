import { noChange } from 'lit-html';
import { directive, Directive, type ElementPart } from 'lit-html/directive.js';

class Styled extends Directive {
  override render(_: Readonly<Record<string, string>>): typeof noChange {
    return noChange;
  }

  override update({ element }: ElementPart, [styles]: [Readonly<Record<string, string>>]): typeof noChange {
    for (const [name, value] of Object.entries(styles)) (element as HTMLElement).style.setProperty(name, value);
    return noChange;
  }
}

/**
 * Sets properties of an element's style: `<div ${styled({ height: '3px' })}>`. The content security policy allows that, but no
 * attribute `style`, which `styleMap` of lit-html writes at first.
 */
export const styled = directive(Styled);
