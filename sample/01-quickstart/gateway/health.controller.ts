import { Controller, Get } from '@nestjs/common';
import { HealthCheck, HealthCheckService, type HealthCheckResult } from '@nestjs/terminus';
import { PooledTcpHealthIndicator } from '../../../lib/terminus/index.js';

@Controller('health')
export class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly pooledTcp: PooledTcpHealthIndicator,
  ) {}

  /** Reads the state of the live pool; nothing is dialled and nobody is called. */
  @Get()
  @HealthCheck()
  check(): Promise<HealthCheckResult> {
    return this.health.check([() => this.pooledTcp.isHealthy('math', { pool: 'math' })]);
  }
}
