// One Jest for the whole repository. `unit` needs no root and no Debian package; `lab` drives
// real KVM hosts (namespaces, sshd, libvirtd, qemu) and runs one file at a time.
const transform = {
  '^.+\\.ts$': [
    '@swc/jest',
    {
      jsc: {
        target: 'es2023',
        parser: { syntax: 'typescript', decorators: true },
        transform: { legacyDecorator: true, useDefineForClassFields: false },
        keepClassNames: true,
      },
      module: { type: 'es6' },
      sourceMaps: 'inline',
    },
  ],
};

const shared = {
  transform,
  // Not in the folder for temporary files, which scripts/test takes away.
  cacheDirectory: '<rootDir>/node_modules/.cache/jest',
  testEnvironment: 'node',
  // Jest adds `import` or `require` itself; named here, a `require` would get a module's ESM form.
  testEnvironmentOptions: { customExportConditions: ['source', 'node'] },
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: {
    '^(\\.{1,2}/.*)\\.js$': '$1',
    // class-validator's phone rules; its ESM form imports JSON in a way that Jest warns about.
    '^libphonenumber-js/max$': '<rootDir>/node_modules/libphonenumber-js/max/index.cjs',
  },
  moduleFileExtensions: ['ts', 'js', 'json', 'node'],
  transformIgnorePatterns: ['/node_modules/'],
  modulePathIgnorePatterns: ['/dist/'],
};

export default {
  projects: [
    {
      ...shared,
      displayName: 'unit',
      testMatch: [
        '<rootDir>/packages/*/src/**/*.test.ts',
        '<rootDir>/packages/*/test/**/*.test.ts',
        '<rootDir>/scripts/**/*.test.ts',
      ],
      testPathIgnorePatterns: ['/node_modules/', '/dist/', '\\.e2e\\.test\\.ts$'],
    },
    {
      ...shared,
      displayName: 'lab',
      testMatch: ['<rootDir>/packages/*/{src,test}/**/*.e2e.test.ts'],
    },
  ],
  testTimeout: 20_000,
  // Many tests wait for processes: more of them than cores keep the cores busy.
  maxWorkers: 3,
};
