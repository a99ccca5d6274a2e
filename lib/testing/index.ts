export type { Clock, Timer } from '../common/clock.js';
export { FaultProxy, type FaultProxyOptions, type FaultScope, type ProxyTarget } from './fault-proxy.js';
export type { Direction, FaultOptions, FaultSettings, LimitSettings } from './faults.js';
export type { ProxyConnection } from './proxy-connection.js';
