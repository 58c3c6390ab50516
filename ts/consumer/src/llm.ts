import { KalamError } from '@kalamdb/client';

export type AgentLLMRole = 'system' | 'user' | 'assistant';

export interface AgentLLMMessage {
  role: AgentLLMRole;
  content: string;
}

/** What a model is asked. */
export interface AgentLLMInput {
  prompt?: string;
  messages?: AgentLLMMessage[];
  systemPrompt?: string | undefined;
  runKey?: string;
  row?: unknown;
}

/** A language model. */
export interface AgentLLMAdapter {
  complete(input: AgentLLMInput): Promise<string>;
  stream?(input: AgentLLMInput): AsyncIterable<string>;
}

/** The model of an agent, which knows its prompt and row. */
export interface AgentLLMContext {
  complete(input: AgentLLMInput | string): Promise<string>;
  stream(input: AgentLLMInput | string): AsyncIterable<string>;
}

/** Makes a model know the prompt, key and row of an agent. */
export function bindLLM(
  adapter: AgentLLMAdapter,
  known: { systemPrompt: string | undefined; runKey: string; row: unknown },
): AgentLLMContext {
  const full = (input: AgentLLMInput | string): AgentLLMInput => ({ ...known, ...(typeof input === 'string' ? { prompt: input } : input) });
  return {
    complete: (input) => adapter.complete(full(input)),
    stream: (input) => {
      if (adapter.stream === undefined) throw new KalamError({ code: 'NOT_SUPPORTED', message: 'the adapter of the model does not stream' });
      return adapter.stream(full(input));
    },
  };
}

/** What is used of a chat model of LangChain. */
export interface LangChainChatModelLike {
  invoke(messages: { role: string; content: string }[]): Promise<{ content: unknown } | string>;
  stream?(messages: { role: string; content: string }[]): Promise<AsyncIterable<{ content: unknown } | string>>;
}

/** Makes an adapter of a chat model of LangChain. */
export function createLangChainAdapter(model: LangChainChatModelLike): AgentLLMAdapter {
  const adapter: AgentLLMAdapter = {
    complete: async (input) => textOf(await model.invoke(messagesOf(input))).trim(),
  };
  const { stream } = model;
  if (stream) {
    adapter.stream = async function* (input) {
      for await (const chunk of await stream.call(model, messagesOf(input))) {
        const text = textOf(chunk);
        if (text !== '') yield text;
      }
    };
  }
  return adapter;
}

function messagesOf(input: AgentLLMInput): AgentLLMMessage[] {
  const system = input.systemPrompt?.trim() ? [{ role: 'system' as const, content: input.systemPrompt }] : [];
  const given = (input.messages ?? []).filter((m) => m.content.trim() !== '');
  if (given.length > 0) return [...system, ...given];
  return [...system, { role: 'user', content: input.prompt ?? '' }];
}

function textOf(answer: { content: unknown } | string): string {
  if (typeof answer === 'string') return answer;
  const { content } = answer;
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content.map((part: unknown) => (typeof part === 'string' ? part : String((part as { text?: unknown }).text ?? ''))).join('');
}
