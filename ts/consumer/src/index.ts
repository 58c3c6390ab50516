/**
 * Consumers of KalamDB topics, and agents that work through them.
 *
 * @packageDocumentation
 */
export { Auth, buildAuthHeader, encodeBasicAuth, isAuthenticated, isBasicAuth, isJwtAuth } from '@kalamdb/client';
export type {
  AuthCredentials, AuthProvider, AuthState, AuthStateEvent, BasicAuthCredentials, ClientOptions, JwtAuthCredentials, LoginResponse, LoginUserInfo,
  QueryResponse, QueryResult, RowData, SchemaField, UserId,
} from '@kalamdb/client';
export { runAgent, runConsumer } from './agent.js';
export type {
  AgentContext, AgentFailureContext, AgentFailureHandler, AgentRetryPolicy, AgentRowParser, AgentRunKeyFactory, ConsumerClientLike,
  RunAgentOptions, RunConsumerOptions,
} from './agent.js';
export { createConsumerClient, default, KalamConsumerClient } from './client.js';
export { TopicRequestError } from './errors.js';
export { createLangChainAdapter } from './llm.js';
export type { AgentLLMAdapter, AgentLLMContext, AgentLLMInput, AgentLLMMessage, AgentLLMRole, LangChainChatModelLike } from './llm.js';
export type {
  AckResponse, ConsumeContext, ConsumeMessage, ConsumeRequest, ConsumeResponse, ConsumerClientOptions, ConsumerHandle, ConsumerHandler, ConsumeStart, RunOptions,
} from './types.js';
