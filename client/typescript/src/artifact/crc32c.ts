// CRC-32C (Castagnoli), eight bytes at a time: https://doi.org/10.1109/ICCSA.2005.77 (slicing).
const POLYNOMIAL = 0x82f63b78;
const TABLES = tables();

/** Of bytes; at least 500 MB/s. */
export function crc32c(data: Uint8Array): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = TABLES;
  const whole = data.length & ~7;
  let crc = ~0;
  let at = 0;
  for (; at < whole; at += 8) {
    crc ^= data[at]! | (data[at + 1]! << 8) | (data[at + 2]! << 16) | (data[at + 3]! << 24);
    crc =
      t7[crc & 0xff]! ^
      t6[(crc >>> 8) & 0xff]! ^
      t5[(crc >>> 16) & 0xff]! ^
      t4[crc >>> 24]! ^
      t3[data[at + 4]!]! ^
      t2[data[at + 5]!]! ^
      t1[data[at + 6]!]! ^
      t0[data[at + 7]!]!;
  }
  for (; at < data.length; at++) crc = t0[(crc ^ data[at]!) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

type Table = Int32Array<ArrayBuffer>;

function tables(): [Table, Table, Table, Table, Table, Table, Table, Table] {
  const first = new Int32Array(256).map((_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    return crc;
  });
  const next = (table: Table): Table => table.map((crc) => first[crc & 0xff]! ^ (crc >>> 8));
  const made = [first];
  for (let place = 1; place < 8; place++) made.push(next(made[place - 1]!));
  return made as [Table, Table, Table, Table, Table, Table, Table, Table];
}
