import { Button, Checkbox } from '@fluentui/react-components';
import { useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

const STORED = 'lazaret.letterKeys';

/** Single letters act on their own; some input devices send them by accident. */
export const letterKeysOn = () => localStorage.getItem(STORED) !== 'off';

const KEYS = [
  ['↑ ↓ ← →', 'move'],
  ['Ctrl Home / End', 'ends'],
  ['Page ↑ / ↓', 'page'],
  ['Enter', 'open'],
  ['Esc', 'close'],
  ['j / k', 'next'],
  ['Ctrl K', 'search'],
  ['?', 'list'],
] as const;

export function KeysDialog({ onClose }: { onClose(): void }) {
  const { t } = useTranslation();
  const dialog = useRef<HTMLDialogElement>(null);
  const [letters, setLetters] = useState(letterKeysOn);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} className="keys" aria-labelledby="keys-title" onClose={onClose}>
      <h2 id="keys-title">{t('keys.title')}</h2>
      <dl>
        {KEYS.map(([keys, name]) => (
          <div key={name}>
            <dt>
              <kbd>{keys}</kbd>
            </dt>
            <dd>{t(`keys.${name}`)}</dd>
          </div>
        ))}
      </dl>
      <Checkbox
        label={t('keys.letters')}
        checked={letters}
        onChange={(_, { checked }) => {
          localStorage.setItem(STORED, checked ? 'on' : 'off');
          setLetters(checked === true);
        }}
      />
      <Button onClick={() => dialog.current?.close()}>{t('keys.done')}</Button>
    </dialog>
  );
}
