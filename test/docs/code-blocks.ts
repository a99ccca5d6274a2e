import { basename, dirname, resolve } from 'node:path';
import ts from 'typescript';
import { codeBlocks, type Page } from './markdown.js';

/** Where the blocks would lie if they were files: inside the package, so that they are ES modules. */
const FOLDER = 'test/docs/.blocks';

/** What a fragment may use without declaring it. */
const CONTEXT = `
import type { INestApplication } from '@nestjs/common';
import type { PooledTcpClient } from 'nestjs-pooled-tcp';
declare global {
  const app: INestApplication;
  const orders: PooledTcpClient;
  const order: { readonly id: number };
}
`;

/**
 * Type-checks every block of TypeScript on the pages against lib.
 *
 * A block whose first line is a comment with a file name, such as `// orders.service.ts`, is that file, and the
 * files of a page can import each other. Any other block is a fragment: a module of its own, in which the names
 * of {@link CONTEXT} are known.
 */
export function checkCodeBlocks(pages: readonly Page[]): string[] {
  const blocks = new Map(pages.flatMap(blockFiles));
  const context = resolve(FOLDER, 'context.d.ts');
  const texts = new Map([[context, CONTEXT], ...[...blocks].map(([path, { code }]) => [path, code] as const)]);
  const options = readOptions();
  const program = ts.createProgram([...texts.keys()], options, hostWith(texts, options));
  return [...blocks].flatMap(([path, { page, line }]) => {
    const source = program.getSourceFile(path);
    const diagnostics = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
    return diagnostics.map(({ start = 0, messageText }) => {
      const at = line + (source?.getLineAndCharacterOfPosition(start).line ?? 0);
      return `${page.path}:${at} (${basename(path)}) ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
    });
  });
}

interface Block {
  readonly page: Page;
  readonly code: string;
  readonly line: number;
}

/** The blocks of a page, by the paths they would have as files. */
function blockFiles(page: Page): [string, Block][] {
  return codeBlocks(page)
    .filter(({ language }) => language === 'ts')
    .map(({ code, line }) => {
      const name = /^\/\/ ([\w./-]+\.ts)\n/.exec(code)?.[1] ?? `fragment-${line}.ts`;
      return [resolve(FOLDER, page.path, name), { page, code: `${code}export {};\n`, line }];
    });
}

function readOptions(): ts.CompilerOptions {
  const config = ts.getParsedCommandLineOfConfigFile('tsconfig.json', undefined, {
    ...ts.sys,
    onUnRecoverableConfigFileDiagnostic: ({ messageText }) => {
      throw new Error(ts.flattenDiagnosticMessageText(messageText, '\n'));
    },
  });
  return {
    ...config?.options,
    paths: {
      'nestjs-pooled-tcp': [resolve('lib/index.ts')],
      'nestjs-pooled-tcp/*': [resolve('lib/*/index.ts')],
    },
  };
}

/** The file system, and in it these texts as if they were files. */
function hostWith(texts: ReadonlyMap<string, string>, options: ts.CompilerOptions): ts.CompilerHost {
  const host = ts.createCompilerHost(options);
  const folders = new Set([...texts.keys()].map((path) => dirname(path)));
  return {
    ...host,
    fileExists: (path) => texts.has(path) || host.fileExists(path),
    readFile: (path) => texts.get(path) ?? host.readFile(path),
    directoryExists: (path) => folders.has(path) || (host.directoryExists?.(path) ?? true),
    getSourceFile: (path, target, onError, create) => {
      const text = texts.get(path);
      return text === undefined
        ? host.getSourceFile(path, target, onError, create)
        : ts.createSourceFile(path, text, target);
    },
  };
}
