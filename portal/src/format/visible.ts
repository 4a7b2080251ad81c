// Foreign text (names, labels, instructions) may hold characters that hide or
// reorder what is shown. They are made visible, never obeyed.

export interface TextPart {
  text: string;
  /** Code point such as `U+202E` when the part stands for an unprintable character. */
  code?: string;
}

// Controls, format characters (bidi, zero-width), line and paragraph
// separators, and halves of surrogate pairs.
const HIDDEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** Splits text into printable runs and unprintable characters. */
export function visibleParts(text: string): TextPart[] {
  const parts: TextPart[] = [];
  let end = 0;
  for (const match of text.matchAll(HIDDEN)) {
    if (match.index > end) parts.push({ text: text.slice(end, match.index) });
    const code = codePoint(match[0]);
    parts.push({ text: code, code });
    end = match.index + match[0].length;
  }
  if (end < text.length || parts.length === 0) parts.push({ text: text.slice(end) });
  return parts;
}

/** The same in one plain string, for titles and labels: `a⟨U+202E⟩b`. */
export function visibleText(text: string): string {
  return visibleParts(text)
    .map((part) => (part.code ? `⟨${part.code}⟩` : part.text))
    .join('');
}

function codePoint(character: string): string {
  const value = character.codePointAt(0) ?? 0;
  return `U+${value.toString(16).toUpperCase().padStart(4, '0')}`;
}
