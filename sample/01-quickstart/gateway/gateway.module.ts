import { Module, type DynamicModule } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { TerminusModule } from '@nestjs/terminus';
import { PooledTcpModule, type PooledTcpClientOptions } from '../../../lib/index.js';
import { PooledTcpHealthIndicator } from '../../../lib/terminus/index.js';
import { HealthController } from './health.controller.js';
import { MathController } from './math.controller.js';
import { PoolController } from './pool.controller.js';
import { PooledTcpErrorFilter } from './pooled-tcp-error.filter.js';

@Module({})
export class GatewayModule {
  /** @param options of the pool that this process decides; at least where the RPC service is */
  static register(options: PooledTcpClientOptions): DynamicModule {
    return {
      module: GatewayModule,
      imports: [
        TerminusModule.forRoot({ logger: false }),
        PooledTcpModule.forRoot({
          name: 'math',
          pool: { min: 3, max: 6 },
          // Half a minute between dials is right for production and dull for a demonstration.
          backoff: { maxMs: 1_000 },
          ...options,
        }),
      ],
      controllers: [MathController, HealthController, PoolController],
      providers: [PooledTcpHealthIndicator, { provide: APP_FILTER, useClass: PooledTcpErrorFilter }],
    };
  }
}
