/** The glue of the Go toolchain as a function; made by ts/build.mjs. */
export function startGo(
  globalThis: object,
  fs: unknown,
  crypto: unknown,
  setTimeout: (fn: () => void, ms: number) => unknown,
): {
  importObject: WebAssembly.Imports;
  run(instance: WebAssembly.Instance): Promise<void>;
};
