import { Search16Regular } from '@fluentui/react-icons';
import { useRouter } from '@tanstack/react-router';
import { useEffect, useRef, useState } from 'react';

const QUIET_MS = 250;

interface FilterBoxProps {
  label: string;
  value: string | undefined;
  onChange(value: string | undefined): void;
}

/** A text filter that acts when typing pauses. */
export function FilterBox({ label, value, onChange }: FilterBoxProps) {
  const [text, setText] = useState(value ?? '');
  const sent = useRef(value ?? '');
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const router = useRouter();
  // Whoever leaves the page while the timer runs must not be called back by it.
  useEffect(
    () =>
      router.subscribe('onBeforeNavigate', ({ pathChanged }) => {
        if (pathChanged) clearTimeout(timer.current);
      }),
    [router],
  );
  // Back and forward change the value from outside.
  useEffect(() => {
    if ((value ?? '') !== sent.current) {
      sent.current = value ?? '';
      setText(value ?? '');
    }
  }, [value]);
  useEffect(() => {
    const next = text.trim();
    if (next === sent.current) return;
    timer.current = setTimeout(() => {
      sent.current = next;
      onChange(next || undefined);
    }, QUIET_MS);
    return () => clearTimeout(timer.current);
  }, [text, onChange]);
  return (
    <span className="filter-box">
      <Search16Regular aria-hidden="true" />
      <input
        type="search"
        aria-label={label}
        placeholder={label}
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
    </span>
  );
}
