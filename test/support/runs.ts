/** Runs of a property: few in `npm test`, as many as `FUZZ_RUNS` says where it is set. */
export function runs(usual: number): number {
  const wanted = Number(process.env['FUZZ_RUNS'] ?? 0);
  return wanted > 0 ? wanted : usual;
}
