export { PooledTcpHealthIndicator, type PooledTcpHealthOptions } from './pooled-tcp.health.js';
