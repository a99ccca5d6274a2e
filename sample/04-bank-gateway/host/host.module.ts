import { Module, type DynamicModule } from '@nestjs/common';
import { BankController } from './bank.controller.js';
import { ARCHIVE_MS } from './host-options.js';
import { Ledger } from './ledger.js';
import { SessionController } from './session.controller.js';

@Module({})
export class HostModule {
  /** @param archiveMs how long the archive takes to find a dormant account */
  static register(archiveMs: number): DynamicModule {
    return {
      module: HostModule,
      controllers: [SessionController, BankController],
      providers: [Ledger, { provide: ARCHIVE_MS, useValue: archiveMs }],
    };
  }
}
