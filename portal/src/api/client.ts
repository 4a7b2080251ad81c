import createClient from 'openapi-fetch';
import type { components, paths } from './schema';

export type Schemas = components['schemas'];
export type Severity = Schemas['Severity'];
export type ImageStatus = Schemas['ImageStatus'];
export type SeverityCounts = Schemas['SeverityCounts'];
export type ImageSummary = Schemas['ImageSummary'];
export type ImageDetail = Schemas['ImageDetail'];
export type FindingRow = Schemas['FindingRow'];
export type FindingDetail = Schemas['FindingDetail'];

/** A request that was answered by an error, or not at all (`status` 0). */
export class ApiError extends Error {
  readonly status: number;
  readonly title?: string;
  readonly requestId?: string;
  constructor(status: number, problem: { title?: string; detail?: string; requestId?: string }) {
    super(problem.detail ?? problem.title ?? '');
    this.status = status;
    this.title = problem.title;
    this.requestId = problem.requestId;
  }
}

/** Anything may stand between us and the server, so the body is not believed. */
async function readProblem(response: Response): Promise<ApiError> {
  const text = (value: unknown) => (typeof value === 'string' && value ? value : undefined);
  const requestId = text(response.headers.get('x-request-id'));
  try {
    const body = (await response.json()) as Record<string, unknown>;
    return new ApiError(response.status, {
      title: text(body.title),
      detail: text(body.detail),
      requestId: text(body.requestId) ?? requestId,
    });
  } catch {
    return new ApiError(response.status, { requestId });
  }
}

export const api = createClient<paths>({ baseUrl: '/api/v1', headers: { Accept: 'application/json' } });

api.use({
  async onResponse({ response }) {
    if (!response.ok) throw await readProblem(response);
  },
  onError({ error }) {
    return error instanceof ApiError ? error : new ApiError(0, {});
  },
});

/** The body of an answer; errors were thrown before. */
export async function body<T>(answer: Promise<{ data?: T }>): Promise<T> {
  const { data } = await answer;
  if (data === undefined) throw new ApiError(0, {});
  return data;
}
