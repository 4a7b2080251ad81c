import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import './styles/base.css';
import './styles/shell.css';
import './styles/grid.css';
import './styles/content.css';
import { App } from './App';
import { startLanguage } from './i18n';

// After an upgrade an open tab asks for chunks that are gone: read the page anew,
// once, so that a chunk that is really missing does not reload for ever.
const RELOADED = 'lazaret.reloaded';
window.addEventListener('vite:preloadError', (event) => {
  if (sessionStorage.getItem(RELOADED) === location.href) return;
  sessionStorage.setItem(RELOADED, location.href);
  event.preventDefault();
  location.reload();
});

await startLanguage();
const root = document.getElementById('root');
if (root) {
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
}
