import { Module, type DynamicModule } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { TerminusModule } from '@nestjs/terminus';
import { PooledTcpModule, type PooledTcpClientOptions } from '../../../lib/index.js';
import { PooledTcpHealthIndicator } from '../../../lib/terminus/index.js';
import { FRAMINGS, type FramingName } from '../wire/framings.js';
import { BankErrorFilter } from './bank-error.filter.js';
import { BankController } from './bank.controller.js';
import { Bank } from './bank.js';
import { stationCodec } from './station.js';
import { StatusController } from './status.controller.js';

export interface GatewayOptions extends PooledTcpClientOptions {
  readonly wire: FramingName;
  /** As whom it signs on. */
  readonly station?: string;
}

@Module({})
export class GatewayModule {
  /** @param options of the pool that this process decides, at least where the bank is, and the variant of the protocol */
  static register({ wire, station = 'GATEWAY1', ...options }: GatewayOptions): DynamicModule {
    return {
      module: GatewayModule,
      imports: [
        TerminusModule.forRoot({ logger: false }),
        PooledTcpModule.forRoot({
          name: 'bank',
          framing: FRAMINGS[wire],
          codec: stationCodec(station),
          // A call has a connection for itself: nothing but their order says which reply is whose.
          pool: { min: 2, max: 8, mode: 'exclusive' },
          heartbeat: { intervalMs: 30_000, timeoutMs: 5_000 },
          // Above what the bank takes: on a serial connection a call that times out costs the connection.
          requestTimeoutMs: 5_000,
          ...options,
        }),
      ],
      controllers: [BankController, StatusController],
      providers: [Bank, PooledTcpHealthIndicator, { provide: APP_FILTER, useClass: BankErrorFilter }],
    };
  }
}
