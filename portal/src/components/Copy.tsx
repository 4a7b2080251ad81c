import { Button } from '@fluentui/react-components';
import { Checkmark16Regular, Copy16Regular } from '@fluentui/react-icons';
import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { visibleText } from '../format/visible';
import { Inert } from './Inert';

const DONE_MS = 2_000;

/** Copies exactly `text`; a label says what, for those who do not see where it stands. */
export function CopyButton({ text, what }: { text: string; what: string }) {
  const { t } = useTranslation();
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => setDone(false), DONE_MS);
    return () => clearTimeout(timer);
  }, [done]);
  return (
    <Button
      appearance="transparent"
      size="small"
      className="copy"
      icon={done ? <Checkmark16Regular /> : <Copy16Regular />}
      title={t('copy.copy')}
      aria-label={done ? t('copy.done') : t('copy.what', { what: visibleText(what) })}
      onClick={(event) => {
        event.stopPropagation();
        void writeClipboard(text).then(() => setDone(true));
      }}
    />
  );
}

/** A command line with its copy button. */
export function Command({ label, text }: { label: string; text: string }) {
  return (
    <div className="command">
      <span className="command-label">{label}</span>
      <code>
        <Inert text={text} />
      </code>
      <CopyButton text={text} what={text} />
    </div>
  );
}

/** The clipboard interface exists on secure origins only; a plain-HTTP laptop has the old way. */
async function writeClipboard(text: string) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement('textarea');
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand('copy');
  area.remove();
}
