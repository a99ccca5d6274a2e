export {
  dnsEndpoints,
  srvEndpoints,
  type DnsEndpointsOptions,
  type SrvEndpointsOptions,
} from './cluster/dns-resolvers.js';
export type { EndpointAddress } from './cluster/endpoint-address.js';
export type { EndpointState, EndpointStats } from './cluster/endpoint.js';
export { staticEndpoints, type EndpointResolver, type ResolverListener } from './cluster/resolver.js';
export type { ClientSettings, PooledTcpClientOptions } from './client/settings.js';
export type { ClientStats } from './client/stats.js';
export type { BackoffOptions, BackoffSettings } from './common/backoff.js';
export { CMPP_HEARTBEAT, type HeartbeatOptions, type HeartbeatSettings } from './connection/heartbeat.js';
export type { KeepAliveOptions, KeepAliveSettings } from './connection/socket-transport.js';
export type { WireOptions, WireSettings } from './connection/wire-settings.js';
export { ERROR_CODES, type PooledTcpErrorCode } from './errors/codes.js';
export { PooledTcpError, type PooledTcpErrorDetails } from './errors/pooled-tcp-error.js';
export { delimiter, type DelimiterSettings } from './framing/delimiter.js';
export { fixedLength } from './framing/fixed-length.js';
export type { FrameDecoder, Framing } from './framing/framing.js';
export { lengthField, type LengthFieldOptions, type LengthFieldSettings } from './framing/length-field.js';
export { untilClose, type UntilCloseSettings } from './framing/until-close.js';
export { InjectPool, PooledClient } from './nest/decorators.js';
export { OnPush, type OnPushOptions } from './nest/on-push.js';
export { PooledTcpClient, type PooledTcpClientEvents, type PooledTcpStatus } from './nest/pooled-tcp-client.js';
export { PooledTcpContext } from './nest/pooled-tcp-context.js';
export { PooledTcpLease } from './nest/pooled-tcp-lease.js';
export { PooledTcpSessions, type PooledTcpSession, type SessionGroup } from './nest/pooled-tcp-sessions.js';
export { PooledTcpStream } from './nest/pooled-tcp-stream.js';
export {
  PooledTcpModule,
  type PooledTcpModuleAsyncOptions,
  type PooledTcpModuleOptions,
  type PooledTcpOptionsFactory,
} from './nest/pooled-tcp.module.js';
export { PooledTcpServer, type PooledTcpServerEvents, type PooledTcpServerStatus } from './nest/pooled-tcp-server.js';
export type { PushesOptions, PushSubscribeOptions } from './nest/pushes.js';
export type { AcquireLeaseOptions, RequestOptions } from './nest/request-options.js';
export { getPoolToken } from './nest/tokens.js';
export type { PoolMode, PoolOptions, PoolSettings, Prewarm } from './pool/settings.js';
export type { CloseReason, PoolCounters, PoolGauges } from './pool/stats.js';
export type { CodecOption } from './protocol/codec-rule.js';
export type {
  DecodedMessage,
  ForeignConnection,
  ForeignHeartbeat,
  ForeignId,
  ForeignMessage,
  ForeignMessageKind,
  ForeignPush,
  ForeignSession,
  MessageCodec,
} from './protocol/foreign/message-codec.js';
export type { PacketDeserializer, PacketSerializer } from './protocol/nest-json.js';
export { native, nestJson, type ProtocolChoice } from './protocol/protocol.js';
export type { ProtocolOption } from './protocol/protocol-rule.js';
export type { Authenticate, AuthenticatingPeer, Principal } from './server/authentication.js';
export type { PushLimits, PushOptions, PushSettings, SlowReaderPolicy } from './server/push/push-settings.js';
export type { PushStats } from './server/push/push-tally.js';
export type { RefusalReason } from './server/refusals.js';
export type { ServerState, ServerStats } from './server/server.js';
export type {
  PooledTcpServerOptions,
  ProxyProtocolOptions,
  ProxyProtocolSettings,
  ServerSettings,
} from './server/settings.js';
