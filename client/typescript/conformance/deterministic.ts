// Maps by the bytes of their keys: what "deterministic" means for a serialised message.
import { type DescMessage, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import { reflect, type ReflectMessage } from "@bufbuild/protobuf/reflect";

/** Parsed, and serialised again. */
export function reserialized(desc: DescMessage, data: Uint8Array): Uint8Array {
  const message = fromBinary(desc, data);
  sortMaps(reflect(desc, message));
  return toBinary(desc, message);
}

function sortMaps(message: ReflectMessage): void {
  for (const field of message.fields) {
    if (!message.isSet(field)) continue;
    if (field.fieldKind === "map") {
      const record = message.message as Message & Record<string, Record<string, unknown>>;
      const map = record[field.localName] ?? {};
      record[field.localName] = Object.fromEntries(Object.entries(map).sort(byBytes));
    } else if (field.fieldKind === "message") sortMaps(message.get(field));
    else if (field.fieldKind === "list" && field.listKind === "message") {
      for (const item of message.get(field)) sortMaps(item as ReflectMessage);
    }
  }
}

/** UTF-8 has the order of code points, which UTF-16 has not. */
function byBytes([one]: [string, unknown], [other]: [string, unknown]): number {
  const bytes = new TextEncoder();
  const [left, right] = [bytes.encode(one), bytes.encode(other)];
  for (let at = 0; at < Math.min(left.length, right.length); at++) {
    const difference = (left[at] ?? 0) - (right[at] ?? 0);
    if (difference) return difference;
  }
  return left.length - right.length;
}
