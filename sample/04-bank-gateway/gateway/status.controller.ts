import { Controller, Get } from '@nestjs/common';
import { HealthCheck, HealthCheckService, type HealthCheckResult } from '@nestjs/terminus';
import { InjectPool, PooledTcpClient, type ClientStats } from '../../../lib/index.js';
import { PooledTcpHealthIndicator } from '../../../lib/terminus/index.js';

@Controller()
export class StatusController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly pooledTcp: PooledTcpHealthIndicator,
    @InjectPool('bank') private readonly bank: PooledTcpClient,
  ) {}

  /** Reads the state of the live pool; the bank is not asked. */
  @Get('health')
  @HealthCheck()
  check(): Promise<HealthCheckResult> {
    return this.health.check([() => this.pooledTcp.isHealthy('bank', { pool: 'bank' })]);
  }

  /** The pool at this moment. */
  @Get('pool')
  stats(): ClientStats {
    return this.bank.stats();
  }
}
