import { KalamError } from '@kalamdb/client';

/** A request to a topic that failed. */
export class TopicRequestError extends KalamError {
  override name = 'TopicRequestError';
}

/** Makes a TopicRequestError of an error of the core. */
export function topicError(raw: unknown): TopicRequestError {
  if (raw instanceof TopicRequestError) return raw;
  const e = raw as Partial<KalamError> & { message?: string };
  return new TopicRequestError({
    code: e.code ?? 'INTERNAL_ERROR', message: e.message ?? String(raw), status: e.status, retryable: e.retryable,
    details: e.details, hint: e.hint, cause: raw,
  });
}
