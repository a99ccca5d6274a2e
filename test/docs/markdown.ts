/** A markdown page, as far as the checks need to understand it. */
export interface Page {
  /** Path from the root of the repository, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

/** A fenced block of code. */
export interface CodeBlock {
  readonly language: string;
  readonly code: string;
  /** Line of the page on which the code begins, from 1. */
  readonly line: number;
}

export function codeBlocks({ text }: Page): CodeBlock[] {
  return [...text.matchAll(/^```(\w+)[^\n]*\n([^]*?)^```$/gm)].map((match) => {
    const [, language = '', code = ''] = match;
    return { language, code, line: text.slice(0, match.index).split('\n').length + 1 };
  });
}

/** The page without its blocks of code and its code spans, where brackets mean something else. */
export function prose({ text }: Page): string {
  return text.replace(/^```[^]*?^```$/gm, '').replace(/`[^`\n]*`/g, '');
}

/** Targets of the links on a page. */
export function links(page: Page): string[] {
  return [...prose(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
}

/** Anchors of the headings, as GitHub makes them. */
export function anchors({ text }: Page): Set<string> {
  const found = new Set<string>();
  for (const [, heading = ''] of text.replace(/^```[^]*?^```$/gm, '').matchAll(/^#{1,6} +(.+)$/gm)) {
    const slug = heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-');
    let anchor = slug;
    for (let repeat = 1; found.has(anchor); repeat++) anchor = `${slug}-${repeat}`;
    found.add(anchor);
  }
  return found;
}
