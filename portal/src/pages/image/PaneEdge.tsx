import type { KeyboardEvent, PointerEvent } from 'react';
import { useTranslation } from 'react-i18next';

const STORED = 'lazaret.paneWidth';
const WIDTH_PX = 560;
const WIDTH_PX_MIN = 360;
const WIDTH_PX_MAX = 960;
const STEP_PX = 32;

const clamp = (width: number) => Math.round(Math.max(WIDTH_PX_MIN, Math.min(WIDTH_PX_MAX, width)));

/** The width chosen last time. */
export const paneWidth = () => clamp(Number(localStorage.getItem(STORED)) || WIDTH_PX);

/** The pane's left edge: drag it, or move it with the arrow keys. */
export function PaneEdge({ width, onResize }: { width: number; onResize(width: number): void }) {
  const { t } = useTranslation();
  const resize = (next: number) => {
    onResize(clamp(next));
    localStorage.setItem(STORED, String(clamp(next)));
  };
  const onPointerDown = (event: PointerEvent<HTMLDivElement>) => {
    const edge = event.currentTarget;
    const from = event.clientX;
    edge.setPointerCapture(event.pointerId);
    const move = (moved: globalThis.PointerEvent) => resize(width + from - moved.clientX);
    edge.addEventListener('pointermove', move);
    edge.addEventListener('lostpointercapture', () => edge.removeEventListener('pointermove', move), { once: true });
  };
  const onKeyDown = (event: KeyboardEvent<HTMLDivElement>) => {
    const by = { ArrowLeft: STEP_PX, ArrowRight: -STEP_PX }[event.key];
    if (!by) return;
    event.preventDefault();
    resize(width + by);
  };
  return (
    <div
      className="pane-edge"
      role="separator"
      aria-orientation="vertical"
      aria-label={t('pane.resize')}
      aria-valuenow={width}
      aria-valuemin={WIDTH_PX_MIN}
      aria-valuemax={WIDTH_PX_MAX}
      tabIndex={0}
      onPointerDown={onPointerDown}
      onKeyDown={onKeyDown}
    />
  );
}
