/** What CMPP_SUBMIT and CMPP_DELIVER have of a text, or of a part of one. */
export interface Content {
  readonly msgFmt: number;
  readonly tpUdhi: number;
  readonly pkTotal: number;
  readonly pkNumber: number;
  readonly msgContent: Buffer;
}

const ASCII = 0;
const UCS2 = 8;
/** “Fewer than 160” with Msg_Fmt 0, at most 140 otherwise (CMPP 3.0, section 8.4.3.1, Msg_Length). */
const MAX_ASCII = 159;
const MAX_BYTES = 140;
/** Of the user data header: its length, “concatenated, 8-bit reference”, 3 bytes follow, reference, total, number. */
const HEADER_BYTES = 6;
const MAX_PARTS = 255;

/**
 * A text as the contents of one or more messages: ASCII where that does, else UCS-2, and above 70 characters in parts
 * of 67, each behind a user data header (3GPP TS 23.040, section 9.2.3.24.1).
 *
 * @param reference tells the parts of one text from those of another, 0 to 255
 */
export function contentsOf(text: string, reference: number): readonly Content[] {
  if (/^[\x01-\x7f]*$/.test(text) && text.length <= MAX_ASCII)
    return [{ msgFmt: ASCII, tpUdhi: 0, pkTotal: 1, pkNumber: 1, msgContent: Buffer.from(text, 'latin1') }];
  if (2 * text.length <= MAX_BYTES)
    return [{ msgFmt: UCS2, tpUdhi: 0, pkTotal: 1, pkNumber: 1, msgContent: ucs2(text) }];
  const parts = split(text, (MAX_BYTES - HEADER_BYTES) / 2);
  if (parts.length > MAX_PARTS)
    throw new RangeError(`a text of ${text.length} characters has more than ${MAX_PARTS} parts`);
  return parts.map((part, i) => ({
    msgFmt: UCS2,
    tpUdhi: 1,
    pkTotal: parts.length,
    pkNumber: i + 1,
    msgContent: Buffer.concat([Buffer.of(5, 0, 3, reference & 0xff, parts.length, i + 1), ucs2(part)]),
  }));
}

/** The text of one message, without its user data header. */
export function textOf({ msgFmt, tpUdhi, msgContent }: Pick<Content, 'msgFmt' | 'tpUdhi' | 'msgContent'>): string {
  const content = tpUdhi === 1 ? msgContent.subarray(1 + (msgContent[0] ?? 0)) : msgContent;
  if (msgFmt === ASCII) return content.toString('latin1');
  if (msgFmt === UCS2)
    return Buffer.from(content.subarray(0, content.length & ~1))
      .swap16()
      .toString('utf16le');
  return content.toString('hex');
}

/** Never between the halves of a character that takes two places. */
function split(text: string, size: number): readonly string[] {
  const parts: string[] = [];
  let from = 0;
  while (from < text.length) {
    let to = Math.min(from + size, text.length);
    if (to < text.length && /[\ud800-\udbff]/.test(text.charAt(to - 1))) to -= 1;
    parts.push(text.slice(from, to));
    from = to;
  }
  return parts;
}

/** UTF-16, the higher byte first. */
function ucs2(text: string): Buffer {
  return Buffer.from(text, 'utf16le').swap16();
}
