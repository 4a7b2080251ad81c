import { useSyncExternalStore } from 'react';

export const THEMES = ['system', 'light', 'dark', 'contrast'] as const;
export type ThemeChoice = (typeof THEMES)[number];
export type ThemeName = Exclude<ThemeChoice, 'system'>;

const STORED = 'lazaret.theme';
const dark = matchMedia('(prefers-color-scheme: dark)');
const contrast = matchMedia('(forced-colors: active), (prefers-contrast: more)');
const listeners = new Set<() => void>();

function readChoice(): ThemeChoice {
  const stored = localStorage.getItem(STORED);
  return THEMES.find((name) => name === stored) ?? 'system';
}
let choice = readChoice();

function subscribe(listener: () => void) {
  listeners.add(listener);
  dark.addEventListener('change', listener);
  contrast.addEventListener('change', listener);
  return () => {
    listeners.delete(listener);
    dark.removeEventListener('change', listener);
    contrast.removeEventListener('change', listener);
  };
}

export function chooseTheme(next: ThemeChoice) {
  choice = next;
  localStorage.setItem(STORED, next);
  for (const listener of listeners) listener();
}

export const useThemeChoice = () => useSyncExternalStore(subscribe, () => choice);

/** The theme in force, the system's choice resolved. */
export const useThemeName = (): ThemeName =>
  useSyncExternalStore(subscribe, () => {
    if (choice !== 'system') return choice;
    if (contrast.matches) return 'contrast';
    return dark.matches ? 'dark' : 'light';
  });
