/**
 * The layer rule of CONTRIBUTING.md: an arrow means "may import", and every layer may import common and errors.
 *
 *   terminus → nest → client, server → cluster → pool
 *                     client, server → connection → protocol → framing
 *
 * A layer that is not named here may import nothing but its own files, common and errors.
 */
const LAYERS = {
  errors: [],
  common: [],
  framing: [],
  protocol: ['framing'],
  connection: ['protocol', 'framing'],
  pool: [],
  cluster: ['pool', 'connection'],
  client: ['cluster', 'pool', 'connection', 'protocol', 'framing'],
  server: ['connection', 'protocol', 'framing'],
  nest: ['client', 'server', 'cluster', 'pool', 'connection', 'protocol', 'framing'],
  terminus: ['nest', 'client'],
  testing: [],
};

const layerRules = Object.entries(LAYERS).map(([layer, below]) => {
  const allowed = [
    layer,
    ...below,
    ...(layer === 'errors' ? [] : layer === 'common' ? ['errors'] : ['common', 'errors']),
  ];
  return {
    name: `layer-${layer}`,
    comment: `lib/${layer} may import ${allowed.join(', ')}`,
    severity: 'error',
    from: { path: `^lib/${layer}/` },
    to: { path: '^lib/', pathNot: `^lib/(${allowed.join('|')})/` },
  };
});

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    ...layerRules,
    {
      name: 'no-unknown-layer',
      comment: 'every folder of lib is a layer named in this file',
      severity: 'error',
      from: { path: '^lib/[^/]+/', pathNot: `^lib/(${Object.keys(LAYERS).join('|')})/` },
      to: {},
    },
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'index-is-for-users',
      comment: 'nothing inside imports the public entry: import the file',
      severity: 'error',
      from: { path: '^lib/' },
      to: { path: '^lib/index\\.ts$' },
    },
    {
      name: 'nest-at-the-top-only',
      comment: 'below lib/nest there is no Nest, and no rxjs',
      severity: 'error',
      from: { path: '^lib/', pathNot: '^lib/(nest|terminus)/' },
      to: { path: '(^|/)node_modules/(@nestjs|rxjs|reflect-metadata)/' },
    },
    {
      name: 'pool-and-framing-know-no-sockets',
      severity: 'error',
      from: { path: '^lib/(pool|framing|protocol|common|errors)/' },
      to: { path: '^(net|tls|dgram|http|node:net|node:tls)$' },
    },
    {
      name: 'lib-imports-lib-only',
      severity: 'error',
      from: { path: '^lib/' },
      to: { path: '^(sample|test)/' },
    },
    {
      name: 'samples-use-the-public-entries',
      comment: 'a sample imports what a user can import',
      severity: 'error',
      from: { path: '^sample/' },
      to: { path: '^lib/', pathNot: '^lib/(index|[^/]+/index)\\.ts$' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'types', 'node'],
      extensions: ['.ts', '.js'],
    },
  },
};
