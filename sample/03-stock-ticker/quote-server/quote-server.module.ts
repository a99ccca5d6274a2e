import { Module, type DynamicModule } from '@nestjs/common';
import { PooledTcpServer } from '../../../lib/index.js';
import { QuotesController } from './quotes.controller.js';
import { TAPE_OPTIONS, type TapeOptions } from './tape-options.js';
import { TapeService } from './tape.service.js';

@Module({})
export class QuoteServerModule {
  /** @param server the strategy of the microservice: a provider, so that services can push */
  static register(server: PooledTcpServer, options: TapeOptions): DynamicModule {
    return {
      module: QuoteServerModule,
      controllers: [QuotesController],
      providers: [
        TapeService,
        { provide: PooledTcpServer, useValue: server },
        { provide: TAPE_OPTIONS, useValue: options },
      ],
    };
  }
}
