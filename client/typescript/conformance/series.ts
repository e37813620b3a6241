/** Points of the suite's series: see tests/conformance/README.md. */
const STEP = 0x9e3779b97f4a7c15n;
const FIRST_MICROS = 1_700_000_000_000_000;

export function seriesValue(seed: bigint, i: number): number {
  let z = BigInt.asUintN(64, seed + BigInt(i + 1) * STEP);
  z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
  z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
  z ^= z >> 31n;
  return Number(z >> 11n) * 2 ** -53;
}

export function seriesMicros(i: number): number {
  return FIRST_MICROS + i;
}

export function doubleOf(bits: string): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt(`0x${bits}`));
  return view.getFloat64(0);
}
