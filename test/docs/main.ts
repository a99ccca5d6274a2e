/**
 * The documentation that is generated, and the checks of the rest. Run in the root of the repository:
 * `npm run docs` writes, `npm run docs:check` compares and fails.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { format, resolveConfig } from 'prettier';
import { checkCodeBlocks } from './code-blocks.js';
import { errorsPage } from './errors-page.js';
import type { Page } from './markdown.js';
import { optionsPage } from './options-page.js';
import { checkNamedTests } from './named-tests.js';
import { checkReferences } from './references.js';

const GENERATED: Readonly<Record<string, () => string>> = {
  'docs/options.md': optionsPage,
  'docs/errors.md': errorsPage,
};

const problems: string[] = [];
for (const [path, generate] of Object.entries(GENERATED)) {
  const text = await format(generate(), { ...(await resolveConfig(path)), filepath: path });
  if (process.argv.includes('--write')) writeFileSync(path, text);
  else if (read(path) !== text) problems.push(`${path} is not what the tables in lib say: run npm run docs`);
}

const pages: Page[] = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  ...readdirSync('docs')
    .filter((name) => name.endsWith('.md'))
    .sort()
    .map((name) => `docs/${name}`),
].map((path) => ({ path, text: read(path) }));
const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
const known = new Set(Object.keys(scripts));
for (const page of pages) problems.push(...checkReferences(page, pages, known), ...checkNamedTests(page));
problems.push(...checkCodeBlocks(pages));

for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exitCode = 1;
else console.log(`${pages.length} pages of documentation are as they should be`);

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}
