import { existsSync } from 'node:fs';
import { posix } from 'node:path';
import { ERROR_CODES } from '../../lib/errors/codes.js';
import { anchors, links, type Page } from './markdown.js';

/** Links, scripts and codes that a page names and that do not exist. */
export function checkReferences(page: Page, pages: readonly Page[], scripts: ReadonlySet<string>): string[] {
  return [
    ...links(page).flatMap((target) => checkLink(page, target, pages)),
    ...[...page.text.matchAll(/npm run ([\w:-]+)/g)].flatMap(([, name = '']) =>
      scripts.has(name) ? [] : [`names the script '${name}', which package.json does not have`],
    ),
    ...[...page.text.matchAll(/PTCP_[A-Z][A-Z_]*/g)].flatMap(([code]) =>
      code in ERROR_CODES ? [] : [`names ${code}, which is no error code`],
    ),
  ].map((problem) => `${page.path} ${problem}`);
}

function checkLink(page: Page, target: string, pages: readonly Page[]): string[] {
  if (/^[a-z]+:/.test(target)) return [];
  const [file = '', anchor] = target.split('#');
  const path = file === '' ? page.path : posix.join(posix.dirname(page.path), file);
  if (!existsSync(path)) return [`links to ${target}, which does not exist`];
  if (anchor === undefined) return [];
  const linked = pages.find((other) => other.path === path);
  if (linked === undefined) return [`links to an anchor in ${path}, which is not one of the checked pages`];
  return anchors(linked).has(anchor) ? [] : [`links to ${target}, but there is no such heading`];
}
