import { Module, type DynamicModule } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { PooledTcpModule } from '../../../lib/index.js';
import { Inbox } from './inbox.js';
import { PooledTcpErrorFilter } from './pooled-tcp-error.filter.js';
import { SmsController } from './sms.controller.js';
import { SmsService } from './sms.service.js';
import { SP_OPTIONS, type SpOptions } from './sp-options.js';
import { spPool } from './sp-pool.js';

@Module({ providers: [Inbox], exports: [Inbox] })
class InboxModule {}

@Module({})
export class SpModule {
  static register(options: SpOptions): DynamicModule {
    const { srcId: _, ...poolOptions } = options;
    return {
      module: SpModule,
      imports: [
        InboxModule,
        PooledTcpModule.forRootAsync({
          name: 'ismg',
          imports: [InboxModule],
          inject: [Inbox],
          useFactory: (inbox: Inbox) => spPool({ ...poolOptions, onDeliver: (deliver) => inbox.take(deliver) }),
        }),
      ],
      controllers: [SmsController],
      providers: [
        SmsService,
        { provide: SP_OPTIONS, useValue: options },
        { provide: APP_FILTER, useClass: PooledTcpErrorFilter },
      ],
    };
  }
}
