/**
 * The client of KalamDB for browsers and Node.
 *
 * @packageDocumentation
 */
export type { ClientAccounts, ClientAuth } from './accounts.js';
export { Auth, buildAuthHeader, encodeBasicAuth, isAuthenticated, isBasicAuth, isJwtAuth, isLikelyTransientAuthProviderError, resolveAuthProviderWithRetry } from './auth.js';
export type { AuthCredentials, AuthProvider, AuthProviderRetryOptions, AuthReason, AuthRequest, BasicAuthCredentials, JwtAuthCredentials } from './auth.js';
export { KalamCellValue, UserId, wrapRowMap } from './cell.js';
export type { JsonValue, RowData } from './cell.js';
export { createClient, default, KalamDBClient } from './client.js';
export type { WasmKalamClient, WasmSource } from './core.js';
export { KalamAuthError, KalamConnectionError, KalamError, KalamLoadError, KalamPermanentAuthError, KalamServerError } from './errors.js';
export type { KalamErrorInit } from './errors.js';
export { BoundFileRef, FileRef, parseFileRef, parseFileRefs } from './file.js';
export type { FileRefContext, FileRefData, SignedUrlOptions } from './file.js';
export type { CodePurpose, CodeRedemption, SignUp } from './signup.js';
export { LiveQuery } from './live.js';
export type { LiveRowsCallback, LiveRowsOptions, MappedLiveRowsOptions, SubscriptionOptions } from './live.js';
export { LogLevel } from './log.js';
export type { LogEntry, LogListener } from './log.js';
export { ChangeType, MessageType, normalizeQueryResponse, sortColumns, SYSTEM_TABLES_ORDER } from './messages.js';
export type * from './messages.js';
export type { CallOptions, ClientOptions, OnConnectCallback, OnDisconnectCallback, OnErrorCallback, OnReceiveCallback, OnSendCallback } from './options.js';
export type { BatchStatement, Param, RowKey } from './params.js';
export { KalamChange, KalamRow, wrapRows } from './row.js';
export { SeqId } from './seqid.js';
export type { AuthState, AuthStateEvent, ClientEvents } from './session.js';
export type { ConnectionError, DisconnectReason } from './socket.js';
export type { SubscriptionCallback, SubscriptionInfo, TypedSubscriptionCallback, Unsubscribe } from './subscriptions.js';
export type { UploadProgress } from './upload.js';
