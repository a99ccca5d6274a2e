import { cpSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { install, run } from './command.js';

/** A version of Nest, and the kind of application that it is usually built as. */
export interface Flavour {
  readonly name: string;
  readonly nest: '11' | '12';
  readonly type: 'module' | 'commonjs';
  readonly typescript: string;
}

export const FLAVOURS: readonly Flavour[] = [
  { name: 'Nest 12, ESM', nest: '12', type: 'module', typescript: '6.0.3' },
  { name: 'Nest 11, CommonJS', nest: '11', type: 'commonjs', typescript: '5.9' },
];

/** Programs of every application, in this folder as `<name>.ts.txt`: they are compiled there, not here. */
const PROGRAMS = ['app', 'peer'] as const;

/**
 * A fresh application with the packed library in it, installed as a user would and type-checked with
 * `skipLibCheck: false`.
 *
 * @returns its folder
 */
export function createApplication(flavour: Flavour, work: string, sources: string, tarball: string): string {
  const folder = mkdtempSync(join(work, 'app-'));
  const { nest, type, typescript } = flavour;
  const dependencies = {
    '@nestjs/common': nest,
    '@nestjs/core': nest,
    '@nestjs/microservices': nest,
    '@nestjs/platform-express': nest,
    '@nestjs/terminus': nest,
    '@types/node': '20',
    '@types/express': '5',
    'reflect-metadata': '0.2',
    rxjs: '7.8',
    typescript,
    'nestjs-pooled-tcp': `file:${tarball}`,
  };
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'app', private: true, type, dependencies }));
  const compilerOptions = {
    target: 'ES2022',
    lib: ['ES2023', 'ESNext.Disposable'],
    module: 'nodenext',
    strict: true,
    skipLibCheck: false,
    experimentalDecorators: true,
    emitDecoratorMetadata: true,
    outDir: 'out',
    types: ['node'],
  };
  const files = PROGRAMS.map((program) => `${program}.ts`);
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
  for (const file of files) cpSync(join(sources, `${file}.txt`), join(folder, file));
  install(folder);
  run(process.execPath, [join('node_modules', 'typescript', 'bin', 'tsc')], folder);
  return folder;
}

/** Runs the application that tries every entry of the package. */
export function tryApplication(folder: string): void {
  const output = run(process.execPath, ['out/app.js'], folder);
  if (!output.includes('it works')) throw new Error(`unexpected output:\n${output}`);
}
