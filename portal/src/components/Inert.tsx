import { memo } from 'react';
import { visibleParts, visibleText } from '../format/visible';

/** Foreign text: isolated from its surroundings, unprintable characters shown. */
export const Inert = memo(function Inert({ text, title = false }: { text: string; title?: boolean }) {
  return (
    <bdi title={title ? visibleText(text) : undefined}>
      {visibleParts(text).map((part, index) =>
        part.code ? (
          <span key={index} className="code-point">
            {part.code}
          </span>
        ) : (
          part.text
        ),
      )}
    </bdi>
  );
});
