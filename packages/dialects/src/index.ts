/** Wire to ask and denial to wire, for each protocol. No sockets: bytes and headers in, values out, and back. */

export type { ToolAsk, WireAnswer } from './ask.ts';
export { noArguments } from './ask.ts';
export { accepts, mediaTypeOf } from './accept.ts';
export type { RpcId, RpcMessage } from './jsonrpc.ts';
export { RPC_CODES, readRpc, peekId, rpcResult, rpcError, rpcRequest, rpcNotification } from './jsonrpc.ts';
export type { McpAsk, McpEra, McpReplyTo, McpVersion } from './mcp-ask.ts';
export { MCP_VERSIONS, MODERN_CODES, MODERN_VERSION } from './mcp-ask.ts';
export { negotiateVersion } from './mcp-2025.ts';
export { MCP_JUDGE_OPTIONS, eraOf, mcpReplyTo, readMcp, readMcpHead } from './mcp.ts';
export type { HeaderMirror } from './mcp-mirrors.ts';
export { decodeMirror, encodeMirror, headerMirrors, mirrorHeaders, mirrorsProblem } from './mcp-mirrors.ts';
export type { CallMeta } from './mcp-meta.ts';
export { SESSION_META_KEY } from './mcp-meta.ts';
export type { ServerInfo } from './mcp-answers.ts';
export {
  acceptedAnswer,
  discoverAnswer,
  endedAnswer,
  initializeAnswer,
  listChanged,
  listToolsAnswer,
  listingText,
  mcpMessage,
  pingAnswer,
} from './mcp-answers.ts';
export type { McpDenialForm, McpDenialOptions } from './mcp-denial.ts';
export { DENIAL_META_KEY, denialText, mcpDenial, mcpDenialForm, rpcCodeOf } from './mcp-denial.ts';
export type { ToolOutcome } from './mcp-results.ts';
export { answerFor, toolOutcome } from './mcp-results.ts';
export type { ClientInfo, UpstreamBody, UpstreamMessage, UpstreamProblem, UpstreamSession } from './mcp-upstream.ts';
export {
  DISCOVER_HEADERS,
  REFUSAL_BYTES_MAX,
  notificationFor,
  readUpstreamDiscover,
  readUpstreamInitialize,
  readUpstreamMessage,
  readUpstreamRefusal,
  upstreamBody,
  upstreamCall,
  upstreamCancel,
  upstreamDiscover,
  upstreamHeaders,
  upstreamInitialize,
  upstreamInitialized,
  upstreamMirrors,
} from './mcp-upstream.ts';
export type { SseComment, SseEvent, SseItem, SseProblem, SseReaderOptions } from './sse.ts';
export { SseReader, writeSseComment, writeSseEvent } from './sse.ts';
export { mcpCallOf, resultBytesOf } from './mcp-over-http.ts';
export type { MappedAsk } from './http-mapped.ts';
export { mappedArguments } from './http-mapped.ts';
export type { AgentRoute } from './agent-routes.ts';
export { routeInbound } from './agent-routes.ts';
export type { AgentAsk, AgentBody } from './agent-ask.ts';
export { FORM_TYPE, ambiguityOfForm } from './agent-form.ts';
export { falseStatement, readAgentRequest } from './agent-ask.ts';
export { headersFromAgent, headersToAgent, mayReachAgent } from './agent-headers.ts';
export type { MappedMethod, MappedRoute, OutboundRoute, SessionRoute } from './http-routes.ts';
export { MAPPED_METHODS, allowedMethods, routeOutbound } from './http-routes.ts';
export type { UpstreamRequest } from './http-tools.ts';
export { hasQueryAlone, isSuccessStatus, readSessionRequest, readToolCall, unfitForQuery, upstreamRequest } from './http-tools.ts';
export { PROBLEM_TYPE, denialHeaders, problemAnswer } from './problem.ts';
