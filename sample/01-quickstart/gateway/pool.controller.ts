import { Controller, Get } from '@nestjs/common';
import { InjectPool, PooledTcpClient, type ClientStats } from '../../../lib/index.js';

@Controller('pool')
export class PoolController {
  constructor(@InjectPool('math') private readonly math: PooledTcpClient) {}

  /** The pool at this moment: a frozen snapshot. */
  @Get()
  stats(): ClientStats {
    return this.math.stats();
  }
}
