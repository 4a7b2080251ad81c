import i18next from 'i18next';
import { initReactI18next } from 'react-i18next';
import type en from './locales/en.json';

export const LANGUAGES = { en: 'English', fr: 'Français', de: 'Deutsch', nl: 'Nederlands' } as const;
export type Language = keyof typeof LANGUAGES;

declare module 'i18next' {
  interface CustomTypeOptions {
    resources: { translation: typeof en };
  }
}

const STORED = 'lazaret.language';
const FILES: Record<Language, () => Promise<{ default: object }>> = {
  en: () => import('./locales/en.json'),
  fr: () => import('./locales/fr.json'),
  de: () => import('./locales/de.json'),
  nl: () => import('./locales/nl.json'),
};

const isLanguage = (name: string): name is Language => Object.hasOwn(LANGUAGES, name);

function preferred(): Language {
  const stored = localStorage.getItem(STORED);
  for (const name of [stored, ...navigator.languages]) {
    const base = name?.slice(0, 2);
    if (base && isLanguage(base)) return base;
  }
  return 'en';
}

/** Only the language in use is loaded; each is complete, so none falls back. */
async function load(language: Language) {
  const file = await FILES[language]();
  i18next.addResourceBundle(language, 'translation', file.default);
}

export async function startLanguage() {
  const language = preferred();
  await i18next.use(initReactI18next).init({
    lng: language,
    fallbackLng: false,
    resources: {},
    interpolation: { escapeValue: false }, // React escapes.
  });
  await load(language);
  await i18next.changeLanguage(language);
  document.documentElement.lang = language;
}

export async function changeLanguage(language: Language) {
  localStorage.setItem(STORED, language);
  await load(language);
  await i18next.changeLanguage(language);
  document.documentElement.lang = language;
}
