import { Module, type DynamicModule } from '@nestjs/common';
import { IsmgController } from './ismg.controller.js';
import { ISMG_OPTIONS, type IsmgOptions } from './ismg-options.js';
import { MobileNetwork } from './mobile-network.js';
import { ServiceProviders } from './service-providers.js';

@Module({})
export class IsmgModule {
  static register(options: IsmgOptions): DynamicModule {
    return {
      module: IsmgModule,
      controllers: [IsmgController],
      providers: [ServiceProviders, MobileNetwork, { provide: ISMG_OPTIONS, useValue: options }],
    };
  }
}
