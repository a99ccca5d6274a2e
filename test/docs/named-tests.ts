import { existsSync, readFileSync } from 'node:fs';
import type { Page } from './markdown.js';

/** Tests that a page names, as \`test/….test.ts\`: “title”, and that do not exist. */
export function checkNamedTests({ path, text }: Page): string[] {
  const named = text.replaceAll(/\s+/g, ' ').matchAll(/`(test\/[\w/.-]+\.test\.ts)`: “([^”]+)”/g);
  return [...named].flatMap(([, file = '', title = '']) => {
    if (!existsSync(file)) return [`${path} names the test file ${file}, which does not exist`];
    const titles = readFileSync(file, 'utf8').replaceAll(/\s+/g, ' ');
    return titles.includes(`'${title}'`) ? [] : [`${path} names the test “${title}”, which ${file} does not have`];
  });
}
