import { Controller } from '@nestjs/common';
import {
  EventPattern,
  MessagePattern,
  Payload,
  RpcException,
} from '@nestjs/microservices';
import { from, map, Observable } from 'rxjs';

@Controller()
export class GreeterController {
  private readonly visitors: string[] = [];

  @MessagePattern('greet')
  greet(@Payload() name: string): string {
    if (name === 'nobody') throw new RpcException('there is nobody');
    return `Hello ${name}!`;
  }

  @MessagePattern({ cmd: 'greet', to: 'all' })
  greetAll(@Payload() names: string[]): Observable<string> {
    return from(names).pipe(map((name) => this.greet(name)));
  }

  @EventPattern('visited')
  visited(@Payload() name: string): void {
    this.visitors.push(name);
  }

  @MessagePattern('visitors')
  async listVisitors(): Promise<string[]> {
    return Promise.resolve(this.visitors);
  }
}
