import { Module, type DynamicModule } from '@nestjs/common';
import { PooledTcpModule } from '../../../lib/index.js';
import { PageController } from './page.controller.js';
import { VIEWER_OPTIONS, type ViewerOptions } from './viewer-options.js';
import { WatchersService } from './watchers.service.js';

@Module({})
export class ViewerModule {
  static register(options: ViewerOptions): DynamicModule {
    return {
      module: ViewerModule,
      imports: [
        PooledTcpModule.forRoot({
          name: 'quotes',
          endpoints: options.endpoints,
          pool: { min: 1, max: 2 },
          backoff: { initialMs: 50, maxMs: 500 },
        }),
      ],
      controllers: [PageController],
      providers: [WatchersService, { provide: VIEWER_OPTIONS, useValue: options }],
    };
  }
}
