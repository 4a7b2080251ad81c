import {
  FluentProvider, teamsHighContrastTheme, webDarkTheme, webLightTheme,
} from '@fluentui/react-components';
import { QueryCache, QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { useEffect } from 'react';
import { ApiError } from './api/client';
import { createPortalRouter } from './router';
import { useThemeName } from './theme';

const THEMES = { light: webLightTheme, dark: webDarkTheme, contrast: teamsHighContrastTheme };
const FRESH_MS = 10_000;
const RETRIES = 2;

const client = new QueryClient({
  queryCache: new QueryCache({
    onError(error, query) {
      if (!(error instanceof ApiError) || error.status !== 401) return;
      if (query.queryKey[0] === 'session') return;
      // The session ended: the guard of the routes sends to sign-in and back.
      client.removeQueries({ queryKey: ['session'] });
      void router.invalidate();
    },
  }),
  defaultOptions: {
    queries: {
      staleTime: FRESH_MS,
      // An answer below 500 is an answer; only trouble is worth another try.
      retry: (failures, error) =>
        failures < RETRIES && error instanceof ApiError && (error.status === 0 || error.status >= 500),
    },
  },
});

const router = createPortalRouter(client);

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}

export function App() {
  const theme = useThemeName();
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
  }, [theme]);
  return (
    <FluentProvider theme={THEMES[theme]} className="provider">
      <QueryClientProvider client={client}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </FluentProvider>
  );
}
