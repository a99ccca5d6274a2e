import { Controller, Logger, Module } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import type { Observable } from 'rxjs';
import { LARGE_BUFFER, LARGE_TEXT } from '../payloads.js';
import { endless, ENDLESS_ITEM } from './endless.js';

Logger.overrideLogger(false);

@Controller()
class EchoController {
  @MessagePattern('echo')
  echo(@Payload() data: unknown): unknown {
    return data;
  }

  @MessagePattern('endless')
  endless(): Observable<string> {
    return endless();
  }

  /** A source that can wait: stock Nest has none. */
  @MessagePattern('endless-paced')
  async *endlessPaced(): AsyncGenerator<string> {
    for (;;) yield await Promise.resolve(ENDLESS_ITEM);
  }

  @MessagePattern('large')
  large(@Payload() form: string): unknown {
    return form === 'text' ? LARGE_TEXT : LARGE_BUFFER;
  }
}

/** The application that every Nest TCP server of the benchmark runs. */
@Module({ controllers: [EchoController] })
export class EchoModule {}
